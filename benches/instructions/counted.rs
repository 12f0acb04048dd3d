//! What callgrind counted, read from what it wrote.

use std::collections::HashMap;

/// Costs, in all or a request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Instructions in user mode, of the worker's thread.
    pub(crate) instructions: f64,
    /// Calls that take memory from the allocator, or ask it for more.
    pub(crate) allocations: f64,
    /// Readings of a clock.
    pub(crate) clock_reads: f64,
    /// System calls that move octets or wait for them, counted at the functions that make them. (The clock is none: only
    /// valgrind makes it one.)
    pub(crate) system_calls: f64,
    /// Loads of an arc-swap: the snapshot, once a decision, and the peers of an upstream, once a way there.
    pub(crate) swap_loads: f64,
}

/// What gives out memory. Whatever the allocator calls within itself is no second allocation.
const ALLOCATORS: &[&str] = &[
    "mi_malloc",
    "mi_malloc_aligned",
    "mi_zalloc",
    "mi_zalloc_aligned",
    "mi_realloc",
    "mi_realloc_aligned",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
];

const CLOCK: &str = "clock_gettime";

/// What stands in every load of an arc-swap.
const LOAD: &str = "arc_swap::debt::list::LocalNode::with";

/// What a request may ask the kernel for: by functions of the C library, and by one of ours that goes past it.
const SYSTEM_CALLS: &[&str] = &[
    "portcullis::proxy::stream::Socket::try_write",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendto",
    "sendmsg",
    "read",
    "readv",
    "write",
    "writev",
    "poll",
    "epoll_wait",
    "epoll_ctl",
    "futex",
    "syscall",
    "connect",
    "accept4",
    "close",
    "shutdown",
    "getsockopt",
    "setsockopt",
    "fcntl",
    "ioctl",
];

impl Counts {
    /// Reads a dump: its sums, and the calls of the functions of interest.
    pub(crate) fn read(dump: &str) -> Self {
        let mut counts = Self::default();
        // A function's name stands at its first mention only: "fn=(12) name", then "fn=(12)".
        let mut names = HashMap::new();
        let (mut caller, mut callee) = ("", "");
        for line in dump.lines() {
            if let Some(sum) = line.strip_prefix("totals: ") {
                counts.instructions = sum.trim().parse().expect("a number");
            } else if let Some(function) = line.strip_prefix("fn=") {
                caller = name(&mut names, function);
            } else if let Some(function) = line.strip_prefix("cfn=") {
                callee = name(&mut names, function);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls: f64 = calls.split(' ').next().unwrap_or_default().parse().expect("a number");
                if ALLOCATORS.contains(&callee) && !is_allocator(caller) {
                    counts.allocations += calls;
                }
                if callee == CLOCK && caller != CLOCK {
                    counts.clock_reads += calls;
                }
                if callee.starts_with(LOAD) && !caller.starts_with(LOAD) {
                    counts.swap_loads += calls;
                }
                if SYSTEM_CALLS.contains(&callee) && caller != callee {
                    counts.system_calls += calls;
                }
            }
        }
        counts
    }

    /// A request's share.
    pub(crate) fn each(self, requests: f64) -> Self {
        Self {
            instructions: self.instructions / requests,
            allocations: self.allocations / requests,
            clock_reads: self.clock_reads / requests,
            system_calls: self.system_calls / requests,
            swap_loads: self.swap_loads / requests,
        }
    }
}

fn name<'d>(names: &mut HashMap<&'d str, &'d str>, function: &'d str) -> &'d str {
    let (id, name) = function.split_once(' ').unwrap_or((function, ""));
    let known = names.entry(id).or_insert("");
    if !name.is_empty() {
        // The C library's have a version behind: clock_gettime@@GLIBC_2.17.
        *known = name.split('@').next().unwrap_or(name);
    }
    known
}

fn is_allocator(name: &str) -> bool {
    name.starts_with("mi_") || name.starts_with("_mi_") || ALLOCATORS.contains(&name)
}

/// A dump as callgrind writes it: names are given once, an allocator's inner calls are its own affair.
pub(crate) fn reads_what_callgrind_writes() {
    let dump = "events: Ir\nfn=(1) portcullis::answer\n1 10\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n1 30\n\
                cfn=(3) clock_gettime@@GLIBC_2.17\ncalls=2 0\n1 8\nfn=(2)\n1 5\ncfn=(4) mi_malloc\ncalls=3 0\n1 9\n\
                fn=(1)\ncfn=(5) recv\ncalls=4 0\n1 4\ncfn=(6) arc_swap::debt::list::LocalNode::with\ncalls=1 0\n1 4\ncfn=(2)\ncalls=1 0\n1 4\ntotals: 100\n";
    let wanted = Counts {
        instructions: 100.0,
        allocations: 4.0,
        clock_reads: 2.0,
        system_calls: 4.0,
        swap_loads: 1.0,
    };
    assert_eq!(Counts::read(dump), wanted);
    assert_eq!(Counts::read(dump).each(2.0).allocations, 2.0);
}
