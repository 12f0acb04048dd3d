//! What `credentials` and `tokens` cannot be without.

use crate::config::authority::Authority;
use crate::config::credential::CredentialKind;
use crate::config::decode::fields::Fields;
use crate::config::minted::{Format, Sign};
use crate::config::problems::{Position, Problem, quoted};

/// Whatever is kept needs a store; what is kept of keys needs something to seal them with.
pub(crate) fn check(file: &Fields<'_>, authority: &Authority) {
    let stored = file.entry("store").is_some();
    let lacks_store = |at: Position, what: String| {
        if !stored {
            let problem = Problem::new(at, format!("{what}, and there is no `store`"));
            file.report.problem(problem.hint("write `store: {sqlite: portcullis.db}`"));
        }
    };
    for credential in &authority.credentials {
        let managed = match &credential.kind {
            CredentialKind::ApiKeys(keys) => keys.managed,
            CredentialKind::People(people) => people.managed,
            CredentialKind::Issuer(_) => false,
        };
        if managed {
            lacks_store(credential.at, format!("{} are managed at run time", quoted(&credential.name)));
        }
    }
    let sealed = authority.signing_keys.as_ref().is_some_and(|keys| keys.sealed_with.is_some());
    for token in &authority.tokens {
        let name = quoted(&token.name);
        match &token.format {
            Format::Jwt { sign: Sign::Managed(_), .. } => {
                lacks_store(token.at, format!("{name} is signed with keys that the gateway makes"));
                if !sealed {
                    let what =
                        format!("{name} is signed with keys that the gateway makes, and nothing seals them");
                    let hint =
                        "write `signing_keys: {sealed_with: {file: PATH}}`, or give `sign` a key of your own";
                    file.report.problem(Problem::new(token.at, what).hint(hint));
                }
            }
            Format::Jwt { sign: Sign::Pem { .. } | Sign::Secret { .. }, .. } => {}
            Format::Opaque { .. } | Format::Refresh { .. } => {
                lacks_store(token.at, format!("{name} is looked up"));
            }
        }
    }
}
