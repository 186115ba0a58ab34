#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| local_cache::fuzzing::run("freshness-record", bytes));
