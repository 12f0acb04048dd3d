//! Certificates and their keys, by the files that hold them.

use std::path::PathBuf;

use crate::config::Located;
use crate::config::decode::fields::{self, Fields};
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::problems::Problem;
use crate::config::shape::table;
use crate::config::shown::CertificateFiles;

/// Reads a path and remembers where it is named.
pub(crate) fn file(fields: &Fields<'_>, name: &str) -> Option<Located<PathBuf>> {
    let value = fields.value(name)?;
    Some(Located { at: value.node.at, value: fields::path(value)? })
}

/// Reads `certificate` and `private_key`, of which neither goes without the other.
pub(crate) fn beside(fields: &Fields<'_>) -> Option<CertificateFiles> {
    for (here, other) in [("certificate", "private_key"), ("private_key", "certificate")] {
        if let (Some(entry), None) = (fields.entry(here), fields.entry(other)) {
            let what = format!("`{here}` without `{other}`");
            fields.report.problem(Problem::new(entry.at, what).hint(format!("give `{other}`")));
        }
    }
    let certificate = file(fields, "certificate");
    let key = fields.value("private_key").and_then(|key| secret::read(key, &table::SECRET));
    Some(CertificateFiles { certificate: certificate?, private_key: key?.0 })
}

/// Reads one of `certificates`.
pub(crate) fn one_of_several(value: Value<'_>) -> Option<CertificateFiles> {
    let fields = Fields::open(value, &table::CERTIFICATE)?;
    let certificate = file(&fields, "certificate");
    let key = fields.value("private_key").and_then(|key| secret::read(key, &table::SECRET));
    Some(CertificateFiles { certificate: certificate?, private_key: key?.0 })
}
