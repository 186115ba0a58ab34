//! Which entry a step restores.

use super::outputs::seed;
use crate::support::machine::Machine;

fn check(saved: &[&str], key: &str, restore_keys: &str, expected: Option<&str>) {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, saved);
    assert_eq!(job.found("data", key, restore_keys).as_deref(), expected);
    assert_eq!(job.read("data/file").as_deref(), expected);
}

/// Keys in the order in which they were saved, the requested key and restore keys, the key found.
macro_rules! orders {
    ($($name:ident: $saved:expr, $key:expr, $restore_keys:expr, $expected:expr;)*) => {
        $(#[test]
        fn $name() {
            check(&$saved, $key, $restore_keys, $expected);
        })*
    };
}

orders! {
    the_exact_key_before_a_newer_entry_that_begins_with_it: ["a-1", "a-1-2"], "a-1", "", Some("a-1");
    the_exact_key_before_an_older_entry_that_begins_with_it: ["a-1-2", "a-1"], "a-1", "", Some("a-1");
    an_entry_that_begins_with_the_key_before_restore_keys: ["a-1-x", "b-1"], "a-1", "b-", Some("a-1-x");
    of_entries_that_begin_with_the_key_the_newest: ["a-1-x", "a-1-z", "a-1-y"], "a-1", "", Some("a-1-y");
    the_first_restore_key_that_matches: ["b-1", "a-1", "a-2"], "x", "b-\na-", Some("b-1");
    the_next_restore_key_where_the_first_matches_nothing: ["a-1", "b-1"], "x", "c-\nb-\na-", Some("b-1");
    of_entries_that_begin_with_a_restore_key_the_newest: ["b-9", "b-1"], "x", "b-", Some("b-1");
    the_entry_named_by_a_restore_key_before_newer_ones_that_begin_with_it: ["b", "b-2"], "x", "b", Some("b");
    a_restore_key_that_is_a_whole_key: ["b"], "x", "b", Some("b");
    no_prefix_in_the_middle_of_a_key: ["xa-1"], "a-1", "a-", None;
    a_restore_key_without_a_dash_takes_longer_numbers_too: ["1.11"], "1.2", "1.1", Some("1.11");
    a_restore_key_with_a_dash_takes_no_longer_numbers: ["1.11-a"], "1.2-a", "1.1-", None;
    the_key_in_another_case_is_exact: ["KEY"], "key", "", Some("KEY");
    the_key_in_the_same_case_before_one_in_another: ["key", "KEY"], "key", "", Some("key");
    the_key_in_another_case_before_a_prefix: ["KEY", "key-1"], "key", "", Some("KEY");
    letters_with_accents_are_other_letters: ["café"], "cafe", "", None;
    nothing_in_a_store_of_other_keys: ["a", "b"], "x", "y\nz", None;
    blank_lines_between_restore_keys_match_nothing: ["b"], "x", "\n\n y \n\n", None;

    // nektos/act, pkg/artifactcache/handler_test.go: "get with multiple keys", "case insensitive",
    // and both of "exact keys are preferred".
    acts_get_with_multiple_keys: ["t_a_b_c", "t_a_b", "t_a"], "t_a_b_x", "t_a_b\nt_a", Some("t_a_b");
    acts_case_insensitive: ["t_ABC"], "t_aBc", "", Some("t_ABC");
    acts_exact_keys_are_preferred_key_0: ["t_a", "t_a_b_c", "t_a_b"], "t_a", "t_a_b", Some("t_a");
    acts_exact_keys_are_preferred_key_1: ["t_a", "t_a_b_c", "t_a_b"], "------", "t_a\nt_a_b", Some("t_a");
}

/// Entries as (branch, key) in the order in which they were saved; the entry for a pull request to
/// `release`.
fn check_refs(saved: &[(&str, &str)], key: &str, restore_keys: &str, expected: Option<&str>) {
    let machine = Machine::new();
    for (branch, key) in saved {
        let job = if *branch == "pull" {
            own(&machine)
        } else {
            machine.job().push(branch)
        };
        job.file("data/file", branch);
        job.saved("data", key);
    }
    let job = own(&machine);
    job.found("data", key, restore_keys);
    assert_eq!(job.read("data/file").as_deref(), expected);
}

fn own(machine: &Machine) -> crate::support::machine::Job<'_> {
    machine.job().pull_request(7, "acme/widget", "release")
}

macro_rules! refs {
    ($($name:ident: $saved:expr, $key:expr, $restore_keys:expr, $expected:expr;)*) => {
        $(#[test]
        fn $name() {
            check_refs(&$saved, $key, $restore_keys, $expected);
        })*
    };
}

refs! {
    its_own_ref_before_the_base: [("pull", "k"), ("release", "k"), ("main", "k")], "k", "", Some("pull");
    the_base_before_the_default_branch: [("release", "k"), ("main", "k")], "k", "", Some("release");
    the_default_branch_last: [("main", "k"), ("topic", "k")], "k", "", Some("main");
    a_prefix_of_its_own_before_an_exact_key_of_the_base: [("pull", "k-1"), ("release", "k")], "k", "", Some("pull");
    a_restore_key_of_its_own_before_an_exact_key_of_the_base:
        [("pull", "r-1"), ("release", "k")], "k", "r-", Some("pull");
    an_older_entry_of_its_own_before_a_newer_one_of_the_default_branch:
        [("pull", "k-1"), ("main", "k-2")], "k-3", "k-", Some("pull");
}
