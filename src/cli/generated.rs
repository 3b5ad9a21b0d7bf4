//! Shell completions and manual pages, generated from the definition of the command line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::exit::{WRONG_USAGE, print_error};
use crate::config::suggest::unknown;

/// The flags of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsFlags {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The flags of `man`.
#[derive(Debug, clap::Args)]
pub struct ManFlags {
    /// Command to describe, such as `check` or `service start`; default: the whole program
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write the pages of all commands to this directory, instead of printing one
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output_dir: Option<PathBuf>,
}

/// The function of the fish script that finds the command on the typed command line. The one that clap generates uses
/// `argparse`, which does not support dots in flag names, so fish would complete nothing. Only the first word can be a command,
/// because flags of the server and commands exclude each other.
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

/// Prints a completion script for this command line.
pub fn completions(flags: &CompletionsFlags, mut command: Command) -> anyhow::Result<ExitCode> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut command, name, &mut script);
    if flags.shell == Shell::Fish {
        let text = String::from_utf8(script).context("generating the script")?;
        script = fix_fish(text).into_bytes();
    }
    print(&script)
}

/// Replaces the generated function with [`FISH_NEEDS_COMMAND`], which has the same name.
fn fix_fish(mut script: String) -> String {
    const END: &str = "\nend\n";
    let title = FISH_NEEDS_COMMAND.lines().next().unwrap_or_default();
    if let Some(start) = script.find(title)
        && let Some(length) = script[start..].find(END)
    {
        script.replace_range(start..start + length + END.len(), FISH_NEEDS_COMMAND);
    }
    script
}

/// Prints a manual page in roff, or writes all of them.
pub fn man(flags: &ManFlags, command: Command) -> anyhow::Result<ExitCode> {
    let mut command = command.disable_help_subcommand(true);
    // Names and usages of the commands then include the name of the program.
    command.build();
    if let Some(directory) = &flags.output_dir {
        write_pages(&command, directory)?;
        return Ok(ExitCode::SUCCESS);
    }
    for name in &flags.command {
        let Some(found) = command.find_subcommand(name) else {
            let known: Vec<&str> = visible(&command).map(Command::get_name).collect();
            print_error(&unknown("command", name, known.into_iter()));
            return Ok(WRONG_USAGE.into());
        };
        command = found.clone();
    }
    print(&page(&command)?)
}

/// Writes the pages of a command and of the commands in it, such as `upkeep_exporter-service-start.1`.
fn write_pages(command: &Command, directory: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = directory.join(format!("{name}.1"));
    fs::write(&file, page(command)?).with_context(|| format!("writing {}", file.display()))?;
    visible(command).try_for_each(|command| write_pages(command, directory))
}

/// The commands in a command that are for people.
fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .source(concat!("upkeep_exporter ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut page)
        .context("generating the manual page")?;
    Ok(page)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // The reader, such as `head`, has closed the pipe.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
