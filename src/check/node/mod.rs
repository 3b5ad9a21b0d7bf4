//! The node check: are the packages in `node_modules` those that `package.json` and the lock file require? It reads files only, and
//! starts neither Node.js nor a package manager.

mod compare;
mod installed;
mod lock;
mod loose;
mod package_json;
mod package_lock;
mod pnpm_lock;
mod project;
mod range;
mod specifier;
mod workspaces;
mod yarn_lock;

use super::CheckContext;
use super::dependencies::{self, Limits, Reader};
use crate::config::node::NodeSettings;
use crate::model::{Family, Problem, Report};

/// The limits of a run. The largest lock files of public projects have about 5 MB, and installations about 50,000 packages. For each
/// package, a run reads one file and looks at a few places.
const LIMITS: Limits = Limits {
    file_bytes: 20 << 20,
    total_bytes: 256 << 20,
    files: 500_000,
};

/// The families of node checks.
pub const FAMILIES: &[&Family] = &[&dependencies::DEPENDENCIES];

/// A node check.
#[derive(Debug)]
pub struct NodeCheck {
    settings: NodeSettings,
    reader: Reader,
}

impl NodeCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &NodeSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            reader: Reader::new(&context.readers, LIMITS),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// `missing` if a package is missing, `assertion` if another version is installed, otherwise the reason why a file can't be used.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let settings = self.settings.clone();
        let comparison = self
            .reader
            .read(report, move |files| compare::compare(files, &settings))
            .await?;
        comparison.conclude(&self.settings.target(), report)
    }
}

/// Parses a file of a project, for fuzzing. The first line says which: `package.json`, `package-lock.json`, `pnpm-lock.yaml`,
/// `yarn.lock`, or `range`, whose next two lines are a specifier and a version.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (kind, rest) = text.split_once('\n')?;
    Some(match kind {
        "package.json" => format!("{:?}", package_json::Manifest::parse(rest)),
        "package-lock.json" => format!("{:?}", package_lock::PackageLock::parse(rest)),
        "pnpm-lock.yaml" => format!("{:?}", pnpm_lock::PnpmLock::parse(rest)),
        "yarn.lock" => {
            let lock = yarn_lock::YarnLock::parse(rest);
            // The order of a hash map differs between runs.
            format!("{:?}", lock.map(|lock| lock.packages))
        }
        "range" => {
            let (specifier, version) = rest.split_once('\n')?;
            let specifier = specifier::Specifier::parse(specifier);
            format!("{specifier:?} {}", specifier.accepts(Some(version)))
        }
        _ => return None,
    })
}
