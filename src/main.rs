//! The binary: takes its surroundings and hands them to the library.

use std::io::{self, IsTerminal};

use local_cache::action::Env;
use local_cache::cli::{self, Exit, Surroundings};

fn main() -> Exit {
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("LOCAL_CACHE_LOG", "warn"))
        .format(|out, record| {
            use io::Write;
            writeln!(out, "local-cache: {}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .init();
    local_cache::fs::allow_many_descriptors();
    let env: Env = std::env::vars_os().collect();
    let surroundings = Surroundings {
        arguments: std::env::args_os().collect(),
        env: &env,
        working_directory: working_directory(),
        is_terminal: io::stderr().is_terminal(),
        out: &mut io::stdout().lock(),
        err: &mut io::stderr(),
    };
    cli::run(surroundings)
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks for it")]
fn working_directory() -> std::path::PathBuf {
    std::env::current_dir().unwrap_or_default()
}
