//! Parses the output of cargo (pure).

use std::path::Path;

/// How many crates cargo compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    pub dependencies: u64,
    /// Crates of the project itself.
    pub own: u64,
}

impl Compiled {
    /// Counts the lines that begin with `Compiling`. For a crate on the disk cargo adds its
    /// directory: `Compiling serde v1.0.0`, `Compiling report v0.1.0 (/checkout/report)`.
    pub(super) fn count<'l>(lines: impl IntoIterator<Item = &'l str>, checkout: &Path) -> Self {
        let inside = format!("({}", checkout.display());
        let mut compiled = Self::default();
        for line in lines {
            if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
                if package.contains(&inside) {
                    compiled.own += 1;
                } else {
                    compiled.dependencies += 1;
                }
            }
        }
        compiled
    }

    pub fn total(&self) -> u64 {
        self.dependencies + self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_in_the_checkout_count_as_own() {
        let lines = [
            "  Downloaded serde v1.0.0",
            "   Compiling serde v1.0.0",
            "   Compiling git-dependency v0.2.0 (https://example.com/repo#0123abcd)",
            "warning: Compiling is a word",
            "   Compiling report v0.1.0 (/tmp/x/work/report)",
            "    Finished `dev` profile in 1s",
        ];
        let compiled = Compiled::count(lines, Path::new("/tmp/x/work"));
        assert_eq!(
            compiled,
            Compiled {
                dependencies: 2,
                own: 1
            }
        );
        assert_eq!(compiled.total(), 3);
    }
}
