//! What requests cost when the baseline was taken, and what is a fault beside it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::counted::Counts;

/// A cost more than this many times the baseline's fails; one less than its inverse is worth a new baseline.
const TOLERANCE: f64 = 1.02;

/// What a request does once may differ by what happens now and then, such as waiting once more.
const NOW_AND_THEN: f64 = 0.5;

/// A request that waits for its signature is looked at again when others come, as they happen to: so much may its clock
/// reads and system calls differ.
const WAITING: &str = "new_token_rs256";
const MEANWHILE: f64 = 4.0;

/// Allocations a cached request may make, whatever the baseline says.
const ALLOCATIONS: f64 = 4.0;

/// A refusal costs less than this permission, whatever the baseline says: an attack must not cost more than a success.
const PERMISSION: &str = "cached";
const REFUSALS: &[&str] = &["no_token", "garbage", "bad_token_remembered"];

/// Ten thousand routes cost at most this many times one.
const FLAT: f64 = 1.15;

/// An operation whose plan is remembered costs at most this many times a request that is not looked into. What the kernel
/// does for both makes it 1.10 of all time (`cargo bench --bench inspected`).
const INSPECTED: f64 = 1.35;

/// An API key that a route takes costs at most this many times a token, once it is known.
const KEYED: f64 = 1.05;

/// The file, beside this one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// What `rustc --version` said.
    rustc: String,
    mixes: Vec<Row>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    mix: String,
    instructions: f64,
    allocations: f64,
    clock_reads: f64,
    system_calls: f64,
    swap_loads: f64,
}

impl Baseline {
    pub(crate) fn read() -> Self {
        serde_json::from_str(&std::fs::read_to_string(file()).expect("a baseline")).expect("a baseline")
    }

    pub(crate) fn of(counted: &[(&str, Counts)]) -> Self {
        let two = |count: f64| (count * 100.0).round() / 100.0;
        let row = |(mix, counts): &(&str, Counts)| Row {
            mix: (*mix).to_owned(),
            instructions: counts.instructions.round(),
            allocations: two(counts.allocations),
            clock_reads: two(counts.clock_reads),
            system_calls: two(counts.system_calls),
            swap_loads: two(counts.swap_loads),
        };
        Self { rustc: rustc(), mixes: counted.iter().map(row).collect() }
    }

    pub(crate) fn write(&self) {
        let text = serde_json::to_string_pretty(self).expect("JSON");
        std::fs::write(file(), text + "\n").expect("the baseline can be written");
        println!("written to {}", file().display());
    }

    /// Another compiler makes other instructions: nothing can be compared then.
    pub(crate) fn is_of_this_compiler(&self) -> Result<(), String> {
        let rustc = rustc();
        if self.rustc == rustc {
            return Ok(());
        }
        Err(format!(
            "the baseline was taken with {:?}, and this is {rustc:?}: on the commit before this one, run\n\
             cargo test --bench instructions -- retake\nwith the new compiler, commit {} and check again",
            self.rustc,
            file().display()
        ))
    }

    /// Prints what was counted beside the baseline.
    pub(crate) fn print(&self, counted: &[(&str, Counts)]) {
        println!(
            "{:22} {:>12} {:>12} {:>12} {:>12} {:>13} {:>11}",
            "a request",
            "instructions",
            "of baseline",
            "allocations",
            "clock reads",
            "system calls",
            "swap loads"
        );
        for (mix, counts) in counted {
            let ratio = self.row(mix).map(|row| counts.instructions / row.instructions);
            println!(
                "{mix:22} {:12.0} {:>12} {:12.2} {:12.2} {:13.2} {:11.2}",
                counts.instructions,
                ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.4}")),
                counts.allocations,
                counts.clock_reads,
                counts.system_calls,
                counts.swap_loads
            );
            if ratio.is_some_and(|ratio| ratio < 1.0 / TOLERANCE) {
                println!(
                    "  cheaper by more than two in a hundred: `retake` the baseline, or the gain can be lost unseen"
                );
            }
        }
    }

    /// What is a fault of what was counted.
    pub(crate) fn faults(&self, counted: &[(&str, Counts)]) -> Vec<String> {
        let fault = |(mix, counts): &(&str, Counts)| match self.row(mix) {
            Some(row) => row.fault(counts),
            None => Some(format!("{mix}: not in the baseline: `retake` it")),
        };
        let mut faults: Vec<_> = counted.iter().filter_map(fault).collect();
        let missing = self.mixes.iter().filter(|row| !counted.iter().any(|(mix, _)| *mix == row.mix));
        faults.extend(missing.map(|row| format!("{}: was not counted", row.mix)));
        faults.extend(proportions(counted));
        faults
    }

    fn row(&self, mix: &str) -> Option<&Row> {
        self.mixes.iter().find(|row| row.mix == mix)
    }
}

impl Row {
    fn fault(&self, counts: &Counts) -> Option<String> {
        let mut fault = String::new();
        if counts.instructions > self.instructions * TOLERANCE {
            let _ =
                write!(fault, " {:.0} instructions, {:.0} before;", counts.instructions, self.instructions);
        }
        let looks = if self.mix == WAITING { MEANWHILE } else { NOW_AND_THEN };
        for (what, now, before, more) in [
            ("allocations", counts.allocations, self.allocations, NOW_AND_THEN),
            ("clock reads", counts.clock_reads, self.clock_reads, looks),
            ("system calls", counts.system_calls, self.system_calls, looks),
            ("swap loads", counts.swap_loads, self.swap_loads, NOW_AND_THEN),
        ] {
            if now > before + more {
                let _ = write!(fault, " {now:.2} {what}, {before:.2} before;");
            }
        }
        (!fault.is_empty()).then(|| format!("{}: costs more:{fault}", self.mix))
    }
}

/// What must hold of the mixes beside each other.
fn proportions(counted: &[(&str, Counts)]) -> Vec<String> {
    let cost =
        |name: &str| counted.iter().find(|(mix, _)| *mix == name).map(|(_, counts)| counts.instructions);
    let Some(permission) = cost(PERMISSION) else { return vec![format!("{PERMISSION}: was not counted")] };
    let dear = REFUSALS.iter().filter(|refusal| cost(refusal).is_none_or(|cost| cost >= permission));
    let mut faults: Vec<_> =
        dear.map(|refusal| format!("{refusal}: not cheaper than {PERMISSION}")).collect();
    let greedy = |(mix, counts): &&(&str, Counts)| *mix == PERMISSION && counts.allocations > ALLOCATIONS;
    faults.extend(
        counted.iter().find(greedy).map(|(mix, _)| format!("{mix}: more than {ALLOCATIONS} allocations")),
    );
    if cost("cached_10000_routes").is_none_or(|cost| cost > permission * FLAT) {
        faults.push(format!("cached_10000_routes: more than {FLAT} of {PERMISSION}"));
    }
    let uninspected = cost("uninspected_post").map_or(0.0, |cost| cost * INSPECTED);
    if cost("graphql_post").is_none_or(|cost| cost > uninspected) {
        faults.push(format!("graphql_post: more than {INSPECTED} of uninspected_post"));
    }
    if cost("api_key").is_none_or(|cost| cost > permission * KEYED) {
        faults.push(format!("api_key: more than {KEYED} of {PERMISSION}"));
    }
    faults
}

fn rustc() -> String {
    let said = Command::new("rustc").arg("--version").output().expect("a compiler");
    String::from_utf8(said.stdout).expect("text").trim().to_owned()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.json")
}

/// The gate can fail: for each reason there is to, and for none where there is none.
pub(crate) fn fails_when_more_is_spent() {
    let each = |instructions, allocations| Counts {
        instructions,
        allocations,
        clock_reads: 1.0,
        system_calls: 6.0,
        swap_loads: 1.0,
    };
    let counted = |cached: Counts, refusal| {
        let mut mixes: Vec<_> = REFUSALS.iter().map(|name| (*name, each(refusal, 0.0))).collect();
        let same = ["uninspected_post", "graphql_post", "api_key", PERMISSION, "cached_10000_routes"];
        mixes.extend(same.map(|name| (name, cached)));
        mixes
    };
    let usual = counted(each(10_000.0, 3.0), 5_000.0);
    let baseline = Baseline::of(&usual);
    let faults = |counted: &[(&str, Counts)]| baseline.faults(counted).join("; ");
    assert_eq!(faults(&usual), "");
    assert_eq!(faults(&counted(each(10_190.0, 3.0), 5_000.0)), "");
    assert_eq!(faults(&counted(each(5_500.0, 3.0), 5_000.0)), "");
    assert!(faults(&counted(each(10_210.0, 3.0), 5_000.0)).contains("10210 instructions, 10000 before"));
    assert!(faults(&counted(each(10_000.0, 4.0), 5_000.0)).contains("4.00 allocations, 3.00 before"));
    assert!(faults(&counted(each(10_000.0, 4.2), 5_000.0)).contains("cached: more than 4 allocations"));
    assert!(faults(&counted(each(5_000.0, 3.0), 5_000.0)).contains("no_token: not cheaper than cached"));
    assert!(faults(&usual[..REFUSALS.len()]).contains("cached: was not counted"));
    assert!(Baseline::default().faults(&usual).concat().contains("not in the baseline"));
    let mut many = usual.clone();
    many.last_mut().unwrap().1.instructions *= 1.2;
    assert!(faults(&many).contains("cached_10000_routes: more than 1.15 of cached"));
    let mut looked_into = usual.clone();
    looked_into[REFUSALS.len() + 1].1.instructions *= 1.4;
    assert!(faults(&looked_into).contains("graphql_post: more than 1.35 of uninspected_post"));
    let mut looked_up = usual.clone();
    looked_up[REFUSALS.len() + 2].1.instructions *= 1.06;
    assert!(faults(&looked_up).contains("api_key: more than 1.05 of cached"));
    assert!(baseline.is_of_this_compiler().is_ok());
    assert!(Baseline::default().is_of_this_compiler().unwrap_err().contains("retake"));
}
