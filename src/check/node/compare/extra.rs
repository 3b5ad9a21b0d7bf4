//! Finds installed packages that nothing requires.

use super::Comparer;
use crate::check::dependencies::ReadError;

impl Comparer<'_> {
    /// Compares what is in `node_modules` with the packages that other comparisons know. Run it last.
    pub(super) fn find_extra(&mut self) -> Result<(), ReadError> {
        let project = self.project;
        let mut unlisted = Vec::new();
        for member in &project.members {
            for place in self.tree.list(&member.directory, &mut unlisted)? {
                let Some(found) = self.tree.at(&place)? else {
                    continue;
                };
                if !self.results.knows(&found.directory) {
                    let version = found
                        .version()
                        .unwrap_or("a package without a version")
                        .to_owned();
                    let shown = self.shown(&place);
                    self.results.extra(place, shown, version);
                }
            }
        }
        for (path, error) in unlisted {
            let shown = path.display().to_string();
            self.results.unreadable(path, &shown, &error);
        }
        Ok(())
    }
}
