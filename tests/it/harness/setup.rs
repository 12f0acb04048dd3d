//! What a gateway under test is configured with: it becomes a YAML file in a directory of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;

type Edit = Box<dyn Fn(String) -> String>;

/// A configuration in the making.
pub struct Setup {
    workers: usize,
    upstreams: Vec<(String, String)>,
    issuers: Vec<(String, String)>,
    routes: Vec<(String, String)>,
    limits: Vec<String>,
    tail: String,
    admin: String,
    listener: String,
    log: String,
    edits: Vec<Edit>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) descriptors: Option<usize>,
}

/// Where a gateway listens.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The data plane.
    pub public: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
}

impl Setup {
    /// Two workers, an admin listener without a token, and a log of everything.
    pub fn new() -> Self {
        Self {
            workers: 2,
            upstreams: Vec::new(),
            issuers: Vec::new(),
            routes: Vec::new(),
            limits: Vec::new(),
            tail: String::new(),
            admin: String::new(),
            listener: String::new(),
            log: "{format: json, level: trace, access: true}".to_owned(),
            edits: Vec::new(),
            files: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
        }
    }

    /// Worker threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The only upstream.
    pub fn upstream(self, upstream: &Upstream) -> Self {
        self.upstream_as("api", &upstream.url())
    }

    /// An upstream by this name; `value` is YAML: an address or a mapping. A name given twice counts once.
    pub fn upstream_as(mut self, name: &str, value: &str) -> Self {
        self.upstreams.retain(|(other, _)| other != name);
        self.upstreams.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An issuer whose keys stand in a file, `NAME.json`, and whose audience is `api`.
    pub fn issuer(self, name: &str, issuer: &Issuer) -> Self {
        self.issuer_with(name, issuer, "")
    }

    /// The same with more members of the mapping, as YAML in flow style; what they say replaces the usual.
    pub fn issuer_with(mut self, name: &str, issuer: &Issuer, members: &str) -> Self {
        let mut all = vec![format!("issuer: {:?}", issuer.iss)];
        if !members.contains("audience:") {
            all.push("audience: api".to_owned());
        }
        if !members.contains("keys:") {
            all.push(format!("keys: {{jwks: {{file: {name}.json}}}}"));
            self.files.push((format!("{name}.json"), issuer.jwks().to_string().into_bytes()));
        }
        if !members.is_empty() {
            all.push(members.to_owned());
        }
        self.issuers.retain(|(other, _)| other != name);
        self.issuers.push((name.to_owned(), format!("{{{}}}", all.join(", "))));
        self
    }

    /// An issuer whose keys are fetched from its address; `members` as above.
    pub fn issuer_fetched(self, name: &str, issuer: &Issuer, members: &str) -> Self {
        let comma = if members.is_empty() { "" } else { ", " };
        let keys = format!("keys: {{jwks: {{url: {:?}}}}}{comma}{members}", issuer.jwks_url());
        self.issuer_with(name, issuer, &keys)
    }

    /// A route; `value` is YAML. A key given twice counts once.
    pub fn route(mut self, key: &str, value: &str) -> Self {
        self.routes.retain(|(other, _)| other != key);
        self.routes.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Without the routes so far.
    pub fn no_routes(mut self) -> Self {
        self.routes.clear();
        self
    }

    /// Members of `limits`, as YAML in flow style.
    pub fn limits(mut self, members: &str) -> Self {
        self.limits.push(members.to_owned());
        self
    }

    /// More members of `admin`, as YAML in flow style.
    pub fn admin(mut self, members: &str) -> Self {
        self.admin = format!(", {members}");
        self
    }

    /// More members of the listener, as YAML in flow style.
    pub fn listener(mut self, members: &str) -> Self {
        self.listener = format!(", {members}");
        self
    }

    /// More top-level YAML.
    pub fn yaml_tail(mut self, text: &str) -> Self {
        self.tail.push_str(text);
        self.tail.push('\n');
        self
    }

    /// Less in the log, where it would be all the work: load.
    pub fn quiet(mut self) -> Self {
        self.log = "{format: json, level: warn, access: false}".to_owned();
        self
    }

    /// Another `log`.
    pub fn log(mut self, value: &str) -> Self {
        value.clone_into(&mut self.log);
        self
    }

    /// Any other change to the text.
    pub fn yaml(mut self, edit: impl Fn(String) -> String + 'static) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// A file beside the configuration.
    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// An environment variable of the gateway's.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Descriptors that the gateway may have open (`ulimit -n`).
    pub fn descriptors(mut self, count: usize) -> Self {
        self.descriptors = Some(count);
        self
    }

    /// The YAML text.
    pub fn render(&self, ports: Ports) -> String {
        let address = format!("{:?}", ports.public.to_string());
        let listener = match &*self.listener {
            "" => address,
            members => format!("{{address: {address}{members}}}"),
        };
        let mut text = format!(
            "version: 1\nworkers: {}\nlisteners: [{listener}]\nadmin: {{address: {:?}{}}}\nlog: {}\n",
            self.workers,
            ports.admin.to_string(),
            self.admin,
            self.log,
        );
        let limits = self.limits.join(", ");
        if !limits.is_empty() {
            text.push_str(&format!("limits: {{{limits}}}\n"));
        }
        text.push_str(&self.tail);
        for (section, entries) in
            [("upstreams", &self.upstreams), ("issuers", &self.issuers), ("routes", &self.routes)]
        {
            if !entries.is_empty() {
                text.push_str(&format!("{section}:\n"));
            }
            for (name, value) in entries {
                text.push_str(&format!("  {name:?}: {value}\n"));
            }
        }
        self.edits.iter().fold(text, |text, edit| edit(text))
    }

    /// Writes the YAML file and the files beside it.
    pub fn write_to(&self, directory: &Path, ports: Ports) {
        for (name, content) in &self.files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().expect("a directory"))
                .expect("a directory beside the configuration");
            fs::write(path, content).expect("a file beside the configuration");
        }
        fs::write(directory.join("portcullis.yaml"), self.render(ports)).expect("the configuration");
    }
}

impl Ports {
    /// Two ports that are free now. A gateway takes fixed ports, so these are looked for below the range from
    /// which the kernel gives clients theirs, and never given twice in this process.
    pub fn free() -> Self {
        Self { public: free_port(), admin: free_port() }
    }
}

fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    let start = std::process::id().wrapping_mul(211);
    loop {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("below 30,000");
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
