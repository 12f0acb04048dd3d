//! What TLS 1.3 and HTTP/2 cost a request, beside nginx doing the same in the same run.
//!
//! Both proxies have one worker on core 0, one after the other; the upstream (nginx) and the load (h2load) share core 1.
//! The figure is the proxy's processor time per request, and its ratio to nginx's: medians of interleaved rounds. The
//! gateway verifies a token besides. Wants `nginx`, `h2load` and `taskset` on the path; `.ci/run` installs them.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a bench, not an interface"
)]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::keys::rotation::SigningKey;
use portcullis::token::Algorithm;
use serde_json::json;

/// How requests come.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    tls: bool,
    h2: bool,
    /// A connection, and with TLS a handshake, for each request.
    fresh: bool,
}

const WAYS: [Way; 5] = [
    Way { name: "HTTP/1.1", tls: false, h2: false, fresh: false },
    Way { name: "HTTP/1.1, TLS 1.3", tls: true, h2: false, fresh: false },
    Way { name: "HTTP/2", tls: false, h2: true, fresh: false },
    Way { name: "HTTP/2, TLS 1.3", tls: true, h2: true, fresh: false },
    Way { name: "TLS 1.3 handshake each", tls: true, h2: false, fresh: true },
];

/// What is measured: one request is `requests` over `connections`.
#[derive(Clone, Copy)]
struct Load {
    requests: usize,
    connections: usize,
    fresh: usize,
    rounds: usize,
}

/// A proxy before the same upstream: one plain port, one with TLS, one plain for HTTP/2 where that is another.
struct Proxy {
    process: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    h2c: SocketAddr,
    header: Option<String>,
}

impl Proxy {
    fn nginx(directory: &Path, upstream: SocketAddr) -> Self {
        let (plain, tls, h2c) = (free(), free(), free());
        let at = directory.display();
        let text = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; {}\n\
             ssl_protocols TLSv1.3; ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem; ssl_session_tickets off;\n\
             keepalive_requests 1000000000; upstream up {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
             server {{ listen {plain}; listen {h2c} http2; listen {tls} ssl http2;\n\
             location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host; }} }} }}\n",
            temporary(directory)
        );
        fs::write(directory.join("nginx.conf"), text).unwrap();
        let process =
            pinned(0, "nginx").arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf")).spawn();
        Self { process: started(process, plain), plain, tls, h2c, header: None }
    }

    fn portcullis(directory: &Path, upstream: SocketAddr) -> Self {
        let (plain, tls) = (free(), free());
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let keys = json!({"keys": [key.public_jwk().unwrap()]}).to_string();
        fs::write(directory.join("jwks.json"), keys).unwrap();
        let text = format!(
            "version: 1\nworkers: 1\nlisteners: [{plain}, {{address: {tls}, tls: {{certificate: cert.pem, private_key: {{file: key.pem}}}}}}]\n\
             upstreams: {{up: http://{upstream}}}\nkey_mirror: none\n\
             issuers: {{idp: {{issuer: https://idp.test/, audience: api, keys: {{jwks: {{file: jwks.json}}}}}}}}\n\
             routes:\n  /{{*rest}}: orders:read\nlimits: {{requests_per_connection: 1000000000}}\n\
             log: {{level: warn, access: false}}\n"
        );
        fs::write(directory.join("portcullis.yaml"), text).unwrap();
        let mut command = pinned(0, env!("CARGO_BIN_EXE_portcullis"));
        let process = command.args(["run", "--config"]).arg(directory.join("portcullis.yaml")).spawn();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://idp.test/", "aud": "api", "sub": "user-1", "iat": now, "exp": now + 7200,
            "jti": "0123456789abcdef", "scope": "openid profile orders:read orders:write",
        });
        let header = format!("authorization: Bearer {}", key.mint(&claims, "JWT").unwrap());
        Self { process: started(process, plain), plain, tls, h2c: plain, header: Some(header) }
    }

    /// Microseconds of processor time a request took, over `load`.
    fn measure(&self, way: Way, load: Load) -> f64 {
        let (address, scheme) = match (way.tls, way.h2) {
            (true, _) => (self.tls, "https"),
            (false, true) => (self.h2c, "http"),
            (false, false) => (self.plain, "http"),
        };
        let (requests, connections) =
            if way.fresh { (load.fresh, load.fresh) } else { (load.requests, load.connections) };
        let mut command = pinned(1, "h2load");
        command.args(["-n", &requests.to_string(), "-c", &connections.to_string(), "-t1"]);
        if way.h2 {
            command.args(["-m", "8"]);
        } else {
            command.arg("--h1");
        }
        command.args(self.header.iter().flat_map(|header| ["-H", header]));
        command.arg(format!("{scheme}://{address}/orders/1"));
        let before = self.processor();
        let output =
            command.stderr(Stdio::inherit()).stdout(Stdio::piped()).output().expect("h2load is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let took = self.processor() - before;
        assert!(said.contains(&format!("{requests} succeeded, 0 failed")), "{}: {said}", way.name);
        assert!(said.contains(&format!("status codes: {requests} 2xx")), "{}: {said}", way.name);
        took.as_secs_f64() * 1e6 / requests as f64
    }

    /// User and system time so far.
    fn processor(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The upstream of both: nginx, answering from memory.
fn upstream(directory: &Path) -> (Child, SocketAddr) {
    let address = free();
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/error.log;\n\
         events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000; {1}\n\
         server {{ listen {address}; location / {{ default_type application/json; return 200 '{2}'; }} }} }}\n",
        directory.display(),
        temporary(directory),
        "{\"order\":123}",
    );
    fs::write(directory.join("nginx.conf"), text).unwrap();
    let process =
        pinned(1, "nginx").arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf")).spawn();
    (started(process, address), address)
}

/// Where nginx may write.
fn temporary(directory: &Path) -> String {
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    paths.map(|name| format!("{name}_temp_path {}/{name};", directory.display())).join(" ")
}

fn pinned(core: usize, program: &str) -> Command {
    // On a machine of one core there is nothing to choose.
    let core = core.min(std::thread::available_parallelism().map_or(1, usize::from) - 1);
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]).stdin(Stdio::null());
    command
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn started(process: std::io::Result<Child>, address: SocketAddr) -> Child {
    let process = process.expect("the program is there");
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "{address} is not listened on");
        std::thread::yield_now();
    }
    process
}

fn certificate(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64_simd::STANDARD.encode_to_string(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    fs::write(directory.join("cert.pem"), pem("CERTIFICATE", made.cert.der())).unwrap();
    fs::write(directory.join("key.pem"), pem("PRIVATE KEY", made.signing_key.serialized_der())).unwrap();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` run each once, so that none rots.
    let smoke = std::env::args().any(|argument| argument == "--test")
        || !std::env::args().any(|argument| argument == "--bench");
    let load = if smoke {
        Load { requests: 200, connections: 4, fresh: 20, rounds: 1 }
    } else {
        Load { requests: 60_000, connections: 32, fresh: 1_000, rounds: 5 }
    };
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [behind, nginx, ours] = directories.each_ref().map(tempfile::TempDir::path);
    certificate(nginx);
    certificate(ours);
    let (mut server, address) = upstream(behind);
    let (nginx, ours) = (Proxy::nginx(nginx, address), Proxy::portcullis(ours, address));
    println!(
        "{:24} {:>10} {:>10} {:>6}   microseconds of processor a request, medians",
        "", "portcullis", "nginx", "ratio"
    );
    for way in WAYS {
        let (mut gateway, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..load.rounds {
            gateway.push(ours.measure(way, load));
            peer.push(nginx.measure(way, load));
        }
        let (gateway, peer) = (median(&mut gateway), median(&mut peer));
        println!("{:24} {gateway:10.1} {peer:10.1} {:6.2}", way.name, gateway / peer);
    }
    drop((nginx, ours));
    server.kill().unwrap();
    server.wait().unwrap();
}
