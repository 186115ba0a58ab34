//! The lines of an action's log.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::io::{self, Write};

use local_cache::action::Console;
use local_cache::action::commands::Annotation;
use local_cache::action::console::{Mark, Verbosity};
use log::LevelFilter;

fn logged(verbosity: Verbosity, write: impl FnOnce(&Console<'_>)) -> String {
    let mut out = Vec::new();
    write(&Console::new(&mut out, verbosity));
    String::from_utf8(out).unwrap()
}

fn at(level: LevelFilter) -> Verbosity {
    Verbosity::new(level, false)
}

fn one_of_each(log: &Console<'_>) {
    log.error(&Annotation::new("e"));
    log.warning(&Annotation::new("w"));
    log.log(Mark::Done, "i");
    log.debug("d");
    log.trace("x", || "t\nu".to_owned());
}

#[test]
fn each_line_begins_with_its_mark() {
    let text = logged(at(LevelFilter::Info), |log| {
        for mark in Mark::ALL {
            log.log(*mark, format_args!("{mark:?}"));
        }
    });
    assert_eq!(
        text,
        "🔍 Check\n🚀 Restored\n💿 Missed\n💾 Saved\n🧹 Cleaned\n✅ Done\n☁ Remote\n"
    );
}

#[test]
fn the_level_decides_what_is_printed() {
    let lines = [
        "::error::e\n",
        "::warning::w\n",
        "✅ i\n",
        "debug: d\n",
        "::group::trace: x\nt\nu\n::endgroup::\n",
    ];
    let levels = [
        LevelFilter::Error,
        LevelFilter::Warn,
        LevelFilter::Info,
        LevelFilter::Debug,
        LevelFilter::Trace,
    ];
    for (number, level) in levels.into_iter().enumerate() {
        assert_eq!(
            logged(at(level), one_of_each),
            lines[..=number].concat(),
            "{level}"
        );
    }
}

#[test]
fn a_run_with_debug_logging_shows_debug_lines_as_commands_at_any_level() {
    let text = logged(Verbosity::new(LevelFilter::Error, true), one_of_each);
    assert_eq!(text, "::error::e\n::warning::w\n✅ i\n::debug::d\n");
    assert_eq!(
        logged(Verbosity::new(LevelFilter::Trace, true), one_of_each),
        text + "::group::trace: x\nt\nu\n::endgroup::\n"
    );
}

#[test]
fn outside_text_on_a_line_is_never_a_command() {
    let text = logged(at(LevelFilter::Debug), |log| {
        log.line("::add-mask::e");
        log.log(Mark::Saved, "k\n::error::x ##[group]y");
        log.debug("k\n::error::x");
        log.warning(&Annotation::new("k\n::error::x"));
    });
    assert_eq!(
        text,
        "\\::add-mask::e\n💾 k\\n::error::x ##\\[group]y\ndebug: k\\n::error::x\n::warning::k%0A::error::x\n"
    );
}

#[test]
fn details_are_folded_and_never_a_command() {
    let fold = |log: &Console<'_>| {
        log.group(
            "t\n::error::x",
            ["one".to_owned(), "::endgroup::\n::error::x".to_owned()],
        );
    };
    let text = logged(at(LevelFilter::Info), fold);
    assert_eq!(
        text,
        "::group::t%0A::error::x\none\n\\::endgroup::\\n::error::x\n::endgroup::\n"
    );
    assert_eq!(logged(at(LevelFilter::Warn), fold), "");
}

#[test]
fn a_closed_output_is_not_an_error() {
    struct Closed(usize);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut closed = Closed(0);
    {
        let log = Console::new(&mut closed, at(LevelFilter::Info));
        log.line("x");
        log.line("y");
    }
    assert_eq!(closed.0, 2);
}

#[test]
fn lines_of_threads_do_not_mix() {
    let text = logged(at(LevelFilter::Info), |log| {
        std::thread::scope(|scope| {
            for letter in ["a", "b"] {
                scope.spawn(move || (0..50).for_each(|_| log.line(letter.repeat(100))));
            }
        });
    });
    assert_eq!(text.lines().count(), 100);
    assert!(
        text.lines()
            .all(|line| line == "a".repeat(100) || line == "b".repeat(100))
    );
}
