//! strace as the starter of a program: it counts system calls, ends the program at one, or lets one
//! fail.

/// The words before a program of which some calls are treated as `what` says, for example
/// `error=EIO:when=3` (strace(1), `inject`). `when` counts the calls of each thread.
pub(crate) fn inject(calls: &str, what: &str) -> Vec<String> {
    starter("/dev/null", &rules(calls, what), &["--seccomp-bpf"])
}

/// The words before a program that is killed when a thread makes one of some calls for the time
/// `at`, counted from 1 for each call.
pub(crate) fn kill(calls: &str, at: usize) -> Vec<String> {
    // With --seccomp-bpf, strace 6.1 sends signals at the first call only.
    let rules = rules(calls, &format!("signal=KILL:when={at}"));
    starter("/dev/null", &rules, &[])
}

/// The words before a program whose calls are written to `log`, one a line, after the thread.
pub(crate) fn log(calls: &str, log: &str) -> Vec<String> {
    starter(log, &[format!("trace={calls}")], &["--seccomp-bpf"])
}

fn rules(calls: &str, what: &str) -> [String; 2] {
    [format!("trace={calls}"), format!("inject={calls}:{what}")]
}

/// With the option `--seccomp-bpf`, only the traced calls of the program stop it.
fn starter(log: &str, rules: &[String], options: &[&str]) -> Vec<String> {
    let words = ["strace", "-f", "-qq", "-o", log];
    let words = words.iter().chain(options).map(|word| (*word).to_owned());
    let rules = rules
        .iter()
        .flat_map(|rule| ["-e".to_owned(), rule.clone()]);
    words.chain(rules).collect()
}
