//! control
pub mod clock;
pub mod files;
pub mod key_fetch;
pub mod revocation_file;
