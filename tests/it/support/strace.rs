//! strace as the starter of a program: it counts system calls, ends the program at one, or lets one
//! fail.

/// The words before a program of which some calls are treated as `what` says, for example
/// `error=EIO:when=3` or `signal=KILL:when=1` (strace(1), `inject`). `when` counts the calls of each
/// thread.
pub(crate) fn inject(calls: &str, what: &str) -> Vec<String> {
    let rules = [format!("trace={calls}"), format!("inject={calls}:{what}")];
    starter("/dev/null", &rules)
}

/// The words before a program whose calls are written to `log`, one a line, after the thread.
pub(crate) fn log(calls: &str, log: &str) -> Vec<String> {
    starter(log, &[format!("trace={calls}")])
}

fn starter(log: &str, rules: &[String]) -> Vec<String> {
    // Without --seccomp-bpf, each call of the program would stop it.
    let words = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", log];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    words.extend(
        rules
            .iter()
            .flat_map(|rule| ["-e".to_owned(), rule.clone()]),
    );
    words
}
