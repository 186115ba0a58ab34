//! The native actions have the interface of the container actions.

use std::path::Path;

use yaml_serde::{Mapping, Value};

/// A phase and its script.
type Script = (&'static str, &'static str);

/// A container action, the native one that replaces it, and the scripts of its phases.
const PAIRS: [(&str, &str, &[Script]); 3] = [
    (
        "action.yml",
        "native/action.yml",
        &[("pre", "pre.js"), ("main", "main.js"), ("post", "post.js")],
    ),
    (
        "restore/action.yml",
        "native/restore/action.yml",
        &[("main", "main.js")],
    ),
    (
        "save/action.yml",
        "native/save/action.yml",
        &[("main", "main.js")],
    ),
];

fn read(path: &str) -> Mapping {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    yaml_serde::from_str(&text).unwrap()
}

#[test]
fn inputs_and_outputs_are_those_of_the_container_actions() {
    for (container, native, _) in PAIRS {
        let (container, native) = (read(container), read(native));
        for section in ["description", "author", "branding", "inputs", "outputs"] {
            assert_eq!(native[section], container[section], "{section}");
        }
        assert_ne!(native["name"], container["name"]);
    }
}

#[test]
fn each_phase_has_a_script_that_names_it() {
    for (_, native, scripts) in PAIRS {
        let action = read(native);
        let runs = action["runs"].as_mapping().unwrap();
        assert_eq!(runs["using"], "node24");
        let is_whole = scripts.len() == 3;
        assert_eq!(runs.get("post-if").is_some(), is_whole, "{native}");
        assert_eq!(
            runs.len(),
            scripts.len() + 1 + usize::from(is_whole),
            "{native}"
        );
        let kind = Path::new(native).parent().unwrap().file_name().unwrap();
        let kind = if is_whole {
            "cache"
        } else {
            kind.to_str().unwrap()
        };
        for (phase, script) in scripts {
            assert_eq!(runs[*phase], Value::from(*script), "{native}");
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(native)
                .with_file_name(script);
            let text = std::fs::read_to_string(path).unwrap();
            assert!(
                text.ends_with(&format!("run.js')('{phase}', '{kind}');\n")),
                "{text}"
            );
        }
    }
}
