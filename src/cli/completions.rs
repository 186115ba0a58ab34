//! `local-cache completions`: generated from the arguments of all commands, and completed by the
//! keys and IDs of the store.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use super::context::CommandContext;
use super::exit::Exit;

/// Print shell completions
#[derive(Debug, Args)]
#[command(
    after_help = "Bash, zsh and fish also complete the keys and IDs of entries.\n\nExample:\n  local-cache completions bash > ~/.local/share/bash-completion/completions/local-cache"
)]
pub(super) struct CompletionsArgs {
    /// Shell to print completions for
    shell: Shell,
}

pub(super) fn completions(
    context: &mut CommandContext<'_>,
    args: &CompletionsArgs,
    mut command: clap::Command,
) -> Result<Exit> {
    // Into memory first: the generator panics if it can't write, for example to a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "local-cache", &mut text);
    text.extend_from_slice(keys(args.shell).as_bytes());
    context.write(&text)?;
    Ok(Exit::Done)
}

/// Completes the names of entries after `show`, `rm`, `--key` and `--entry`. The generator knows
/// only what is fixed.
fn keys(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    }
}

const BASH: &str = r#"
_local-cache-with-keys() {
    _local__cache "$@"
    case "${COMP_WORDS[COMP_CWORD-1]}" in
        show|rm|remove|--key|--entry)
            local IFS=$'\n'
            COMPREPLY+=($(compgen -W "$(local-cache list --names 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
            ;;
    esac
}
complete -F _local-cache-with-keys -o bashdefault -o default local-cache
"#;

const ZSH: &str = r#"
_local-cache-with-keys() {
    case "${words[CURRENT-1]}" in
        show|rm|remove|--key|--entry)
            local -a names
            names=(${(f)"$(local-cache list --names 2>/dev/null)"})
            compadd -a names
            ;;
        *)
            _local-cache "$@"
            ;;
    esac
}
compdef _local-cache-with-keys local-cache
"#;

const FISH: &str = r#"
complete -c local-cache -n "__fish_seen_subcommand_from show rm remove" -f -a "(local-cache list --names 2>/dev/null)"
complete -c local-cache -n "__fish_seen_subcommand_from restore save" -l key -x -a "(local-cache list --names 2>/dev/null)"
complete -c local-cache -n "__fish_seen_subcommand_from restore" -l entry -x -a "(local-cache list --names 2>/dev/null)"
"#;
