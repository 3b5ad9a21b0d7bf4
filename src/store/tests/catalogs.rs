//! Catalogs of models outlive the runs that report them.

use super::*;
use crate::model::{Catalog, Model};

/// The outcome of a run that reports one model.
fn outcome(reason: Option<Reason>, fetched: i64) -> Outcome {
    let model = Model {
        id: "m".to_owned(),
        ..Model::default()
    };
    Outcome {
        catalog: Some(Arc::new(Catalog::new("openai", fetched, [model]))),
        ..TestStore::outcome(reason, None)
    }
}

#[test]
fn the_last_catalog_stays_when_later_runs_fail() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    let fetched = |test: &TestStore| {
        let catalog = test.service().checks.remove(0).catalog;
        catalog.map(|catalog| catalog.fetched)
    };
    let handle = test.handle("api/http");
    test.run("api/http", 5, None);
    assert_eq!(fetched(&test), None);
    test.record(handle, 10, outcome(None, 9));
    test.run("api/http", 20, REFUSED);
    assert_eq!(fetched(&test), Some(9));
    // A run with a warning or a failure may still have read the list.
    test.record(handle, 30, outcome(REFUSED, 29));
    assert_eq!(fetched(&test), Some(29));

    let mut edited = check("http");
    edited.interval = Duration::from_secs(30);
    test.store.apply(&config(vec![("api", vec![edited])]));
    assert_eq!(fetched(&test), None, "the catalog may be of another target");
}
