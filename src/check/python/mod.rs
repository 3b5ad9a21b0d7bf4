//! The python check: are the installed packages those that the files of a project require? It reads files only, and starts no Python.
//!
//! `interpreter` and `installed` read the environment, `sources` reads what is required, and `compare` compares both. All parsers are pure.

mod compare;
mod direct_url;
mod dist_info;
mod environment;
mod fix;
mod installed;
mod interpreter;
mod marker;
mod name;
mod poetry_lock;
mod poetry_project;
mod project_files;
mod pylock;
mod pyproject;
mod required;
mod requirement;
mod requirements_txt;
mod sources;
mod toml_file;
mod uv_lock;
mod venv_config;
mod wanted;

mod fuzz;

pub use fuzz::fuzz_parse;

use std::path::Path;

use self::compare::{Options, compare};
use self::fix::Commands;
use super::CheckContext;
use super::dependencies::{Comparison, DEPENDENCIES, Files, Limits, ReadError, Reader};
use crate::config::python::PythonSettings;
use crate::model::{Family, Problem, Report};

/// The families of python checks.
pub const FAMILIES: &[&Family] = &[&DEPENDENCIES];

/// The limits of a run. The lock of a project with 500 packages has about 2 MB, and their metadata 4 MB.
const LIMITS: Limits = Limits {
    file_bytes: 8 << 20,
    total_bytes: 64 << 20,
    files: 60_000,
};

/// A python check.
#[derive(Debug)]
pub struct PythonCheck {
    settings: PythonSettings,
    reader: Reader,
}

impl PythonCheck {
    /// A check with these settings.
    pub fn new(settings: &PythonSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            reader: Reader::new(&context.readers, LIMITS),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// `missing` if a dependency or the environment is missing, `assertion` if a version or source differs, otherwise the reason
    /// why something could not be read: `protocol`, `permission`, `limit`, `unreachable`.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let settings = self.settings.clone();
        let comparison = self
            .reader
            .read(report, move |files| read(&settings, files))
            .await??;
        comparison.conclude(&self.settings.target(), report)
    }
}

/// Reads and compares everything. The inner error is about the environment.
fn read(settings: &PythonSettings, files: &mut Files) -> Result<Result<Comparison, Problem>, ReadError> {
    let interpreter = match interpreter::find(&settings.source, files) {
        Ok(interpreter) => interpreter,
        Err(error) => return Ok(Err(error.problem())),
    };
    let packages = installed::read(&interpreter.site_directories, interpreter.own_directories, files)?;
    let required = sources::load(settings, &interpreter.environment, files)?;
    let commands = Commands::new(&interpreter, &packages, settings);
    let options = Options {
        transitive: settings.transitive,
        extra: settings.extra,
    };
    let comparison = compare(
        &required,
        &packages,
        &interpreter.environment,
        &commands,
        options,
        &|| files.is_cancelled(),
    );
    // The comparison of a cancelled run is not complete.
    files.proceed(Path::new(&settings.target()))?;
    Ok(Ok(comparison))
}
