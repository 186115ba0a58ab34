//! The phases of the GitHub Action: inputs and workflow context in, outputs and log lines out.
