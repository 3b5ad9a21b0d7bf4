//! What is made of the definition of the command line: completions for shells, and manual pages.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Arguments, WRONG_USAGE, tell};
use crate::config::suggest::unknown;

/// The flags of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsFlags {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The flags of `man`.
#[derive(Debug, clap::Args)]
pub struct ManFlags {
    /// The command whose page to print; without one, the program's
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Finds the command in what was typed, for fish. The generated function leaves that to fish's `argparse`, which takes no
/// names of flags with a dot, so that nothing would be completed at all. Flags of serving and commands exclude one another:
/// only the first word can be a command.
const FISH_NEEDS_COMMAND: &str = "function __fish_upkeep_exporter_needs_command
    set -l cmd (commandline -opc)
    set -e cmd[1]
    if set -q cmd[1]; and not string match -q -- '-*' $cmd[1]
        echo $cmd[1]
        return 1
    end
    return 0
end
";

/// Prints the script that makes a shell complete this command line.
pub fn completions(flags: &CompletionsFlags) -> anyhow::Result<ExitCode> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut command, name, &mut script);
    if flags.shell == Shell::Fish {
        let text = String::from_utf8(script).context("making the script")?;
        script = for_fish(text).into_bytes();
    }
    print(&script)
}

/// The script for fish with [`FISH_NEEDS_COMMAND`] in the place of the function of that name.
fn for_fish(mut script: String) -> String {
    const END: &str = "\nend\n";
    let title = FISH_NEEDS_COMMAND.lines().next().unwrap_or_default();
    if let Some(start) = script.find(title)
        && let Some(length) = script[start..].find(END)
    {
        script.replace_range(start..start + length + END.len(), FISH_NEEDS_COMMAND);
    }
    script
}

/// Prints a manual page in roff.
pub fn man(flags: &ManFlags) -> anyhow::Result<ExitCode> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    // Names and usages of the commands become those of the whole program.
    command.build();
    let command = match &flags.command {
        None => command,
        Some(name) => {
            let Some(found) = command.find_subcommand(name) else {
                let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
                tell(&unknown("command", name, known.into_iter()));
                return Ok(WRONG_USAGE.into());
            };
            found.clone()
        }
    };
    let mut page = Vec::new();
    Man::new(command)
        .source(concat!("upkeep_exporter ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut page)
        .context("making the manual page")?;
    print(&page)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // `| head` has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
