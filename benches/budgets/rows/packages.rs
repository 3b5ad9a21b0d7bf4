//! A run of a python or node check of 500 packages, with a lock file and the requirements of every package.

use std::path::Path;

use super::{Cost, cost_every_second};
use crate::common::{node_packages, python_packages};
use crate::report::Line;

const PACKAGES: usize = 500;

/// A project with installed packages, and the check of it.
struct Project {
    kind: &'static str,
    /// Writes a project with this many packages.
    write: fn(&Path, usize),
    /// The keys of the check of the project in a directory.
    keys: fn(&str) -> String,
}

pub fn python(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let keys = |project: &str| {
        format!("environment: \"{project}/.venv\", requirements: [\"{project}/uv.lock\"], transitive: true")
    };
    Project {
        kind: "python",
        write: python_packages::write,
        keys,
    }
    .measure(directory)
}

pub fn node(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let keys = |project: &str| format!("directory: \"{project}\", transitive: true, extra: true");
    Project {
        kind: "node",
        write: node_packages::write,
        keys,
    }
    .measure(directory)
}

impl Project {
    fn measure(&self, directory: &Path) -> anyhow::Result<Vec<Line>> {
        let few = self.cost(1, &directory.join("few"))?;
        let many = self.cost(PACKAGES, &directory.join("many"))?;
        let title = format!("{} check of {PACKAGES} packages", self.kind);
        Ok(vec![
            Line::new(title.clone(), many.duration, "ms").at_most(50.0),
            Line::new(format!("{title}: CPU"), many.cpu, "ms"),
            Line::new(
                format!("{title}: highest memory, compared with 1 package"),
                many.memory - few.memory,
                "MB",
            )
            .at_most(20.0),
        ])
    }

    fn cost(&self, packages: usize, directory: &Path) -> anyhow::Result<Cost> {
        let project = directory.join("project");
        (self.write)(&project, packages);
        let keys = (self.keys)(&project.to_string_lossy());
        cost_every_second(&format!("kind: {}, {keys}", self.kind), directory)
    }
}
