//! Timelines for the rules on conditions: outages, gaps in scrapes, removed services, several exporters.

use super::timelines::Edge::{After, At, HoldEnds};
use super::timelines::{NEVER, Timeline};

pub const DOWN: &str = "UpkeepServiceDown";
pub const TOLERATED: &str = "UpkeepServiceDownTolerated";
pub const SLOW: &str = "UpkeepServiceSlow";

pub const ONE: [&str; 3] = ["web1", "critical", "down"];
/// `up` of an exporter that always responds.
pub const ALWAYS: &[(u32, Option<f64>)] = &[(0, Some(1.0))];
pub const SINCE: &str = "upkeep:service_condition_since:held";
const TOLERANCE: &str = "upkeep:service_condition_tolerance:held";

/// `up` of an exporter that does not respond between these times.
pub fn gap(from: u32, to: u32) -> [(u32, Option<f64>); 3] {
    [(0, Some(1.0)), (from, Some(0.0)), (to, Some(1.0))]
}

pub fn all() -> Vec<Timeline> {
    [exact(), gaps(), removals(), exporters()]
        .into_iter()
        .flatten()
        .collect()
}

fn exact() -> Vec<Timeline> {
    let down = &[(0, Some(0.0)), (60, Some(52.0)), (300, Some(0.0))];
    vec![
        Timeline::new("down, fires after its tolerance, counted from the first failing run, and up again")
            .up("web1", ALWAYS)
            .condition(ONE, down, &[(0, 30.0)])
            .fires(DOWN, &[(After(82), At(300))])
            .silent(TOLERATED),
        Timeline::new("down for exactly its tolerance")
            .up("web1", ALWAYS)
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (120, Some(0.0))],
                &[(0, 60.0)],
            )
            .silent(DOWN),
        Timeline::new("a tolerant service")
            .up("web1", ALWAYS)
            .condition(["web1", "tolerant", "down"], down, &[(0, 120.0)])
            .fires(TOLERATED, &[(After(172), At(300))])
            .silent(DOWN),
        Timeline::new("slow")
            .up("web1", ALWAYS)
            .condition(["web1", "critical", "slow"], down, &[(0, 120.0)])
            .fires(SLOW, &[(After(172), At(300))])
            .silent(DOWN),
        Timeline::new("down since before the first scrape")
            .up("web1", &[(120, Some(1.0))])
            .condition(ONE, &[(120, Some(10.0)), (300, Some(0.0))], &[(0, 30.0)])
            .fires(DOWN, &[(At(120), At(300))]),
        Timeline::new("no verdict yet, then down")
            .up("web1", ALWAYS)
            .condition(
                ONE,
                &[(0, None), (60, Some(55.0)), (300, Some(0.0))],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(85), At(300))]),
        Timeline::new("the clock of the exporter is set, and its since-times change slightly")
            .up("web1", ALWAYS)
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (150, Some(60.4)),
                    (180, Some(59.7)),
                    (240, Some(62.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(90), At(600))]),
    ]
}

fn gaps() -> Vec<Timeline> {
    let through = &[
        (0, Some(0.0)),
        (60, Some(60.0)),
        (300, None),
        (480, Some(60.0)),
        (600, Some(0.0)),
    ];
    vec![
        Timeline::new("a gap of three minutes in an outage; the exporter restarts with its state")
            .up("web1", &gap(300, 480))
            .condition(ONE, through, &[(0, 30.0)])
            .exists(SINCE, &[(At(60), At(600))])
            .exists(TOLERANCE, &[(At(60), At(600))])
            .fires(DOWN, &[(After(90), At(600))]),
        Timeline::new("the exporter restarts with its state, and one scrape fails")
            .up("web1", &gap(300, 330))
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (300, None),
                    (330, Some(60.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(90), At(600))]),
        Timeline::new("the exporter restarts without its state, and the since-time starts again")
            .up("web1", &gap(300, 330))
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (300, None),
                    (360, Some(345.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(90), At(330)), (After(375), At(600))]),
        Timeline::new("the tolerance ends within a gap")
            .up("web1", &gap(90, 270))
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (90, None),
                    (270, Some(60.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 60.0)],
            )
            .fires(DOWN, &[(After(120), At(600))]),
        Timeline::new("recovered in a gap")
            .up("web1", &gap(300, 480))
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(0.0))],
                &[(0, 30.0)],
            )
            .exists(SINCE, &[(At(60), At(480))])
            .exists(TOLERANCE, &[(At(60), At(480))])
            .fires(DOWN, &[(After(90), At(480))]),
        Timeline::new("recovered and down again in a gap")
            .up("web1", &gap(300, 480))
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (300, None),
                    (480, Some(450.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 60.0)],
            )
            .fires(DOWN, &[(After(120), At(480)), (After(510), At(600))]),
        Timeline::new("up before a gap: nothing is held")
            .up("web1", &gap(300, 480))
            .condition(
                ONE,
                &[(0, Some(0.0)), (300, None), (480, Some(0.0))],
                &[(0, 30.0)],
            )
            .silent(DOWN),
        Timeline::new("the exporter responds only every other minute")
            .up(
                "web1",
                &[
                    (0, Some(1.0)),
                    (180, Some(0.0)),
                    (240, Some(1.0)),
                    (300, Some(0.0)),
                    (360, Some(1.0)),
                    (420, Some(0.0)),
                    (480, Some(1.0)),
                ],
            )
            .condition(
                ONE,
                &[
                    (0, Some(60.0)),
                    (180, None),
                    (240, Some(60.0)),
                    (300, None),
                    (360, Some(60.0)),
                    (420, None),
                    (480, Some(60.0)),
                    (600, Some(0.0)),
                ],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(90), At(600))]),
        Timeline::new(
            "the exporter stays down: the alert is held for ten minutes, and UpkeepExporterDown fires",
        )
        .up("web1", &[(0, Some(1.0)), (300, Some(0.0))])
        .other_job_up("web1")
        .condition(
            ONE,
            &[(0, Some(0.0)), (60, Some(60.0)), (300, None)],
            &[(0, 30.0)],
        )
        .exists(SINCE, &[(At(60), HoldEnds(300))])
        .exists(TOLERANCE, &[(At(60), HoldEnds(300))])
        .fires(DOWN, &[(After(90), HoldEnds(300))])
        .fires("UpkeepExporterDown", &[(At(360), NEVER)]),
        Timeline::new("the target vanishes with its `up`")
            .up("web1", &[(0, Some(1.0)), (300, None)])
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None)],
                &[(0, 30.0)],
            )
            .exists(SINCE, &[(At(60), HoldEnds(300))])
            .exists(TOLERANCE, &[(At(60), HoldEnds(300))])
            .fires(DOWN, &[(After(90), HoldEnds(300))])
            .fires("UpkeepExporterAbsent", &[(At(420), NEVER)])
            .silent("UpkeepExporterDown"),
        Timeline::new("there never was an `up`: nothing is held")
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None)],
                &[(0, 30.0)],
            )
            .exists(SINCE, &[(At(60), At(300))])
            .exists(TOLERANCE, &[(At(60), At(300))])
            .fires(DOWN, &[(After(90), At(300))]),
    ]
}

fn removals() -> Vec<Timeline> {
    let removed = &[(0, Some(0.0)), (60, Some(60.0)), (300, None)];
    let later = &[
        (0, Some(1.0)),
        (420, Some(0.0)),
        (480, Some(1.0)),
        (900, Some(0.0)),
        (960, Some(1.0)),
    ];
    vec![
        Timeline::new(
            "the service is removed from the configuration, and does not fire again at later restarts",
        )
        .up("web1", later)
        .condition(ONE, removed, &[(0, 30.0)])
        .exists(SINCE, &[(At(60), At(300))])
        .exists(TOLERANCE, &[(At(60), At(300))])
        .fires(DOWN, &[(After(90), At(300))]),
        Timeline::new("the service is removed in a gap, and does not fire again at later restarts")
            .up(
                "web1",
                &[
                    (0, Some(1.0)),
                    (300, Some(0.0)),
                    (480, Some(1.0)),
                    (600, Some(0.0)),
                    (660, Some(1.0)),
                    (900, Some(0.0)),
                ],
            )
            .condition(ONE, removed, &[(0, 30.0)])
            .exists(SINCE, &[(At(60), At(480))])
            .exists(TOLERANCE, &[(At(60), At(480))])
            .fires(DOWN, &[(After(90), At(480))]),
        Timeline::new("the service is removed from the configuration and added again, still down")
            .up("web1", ALWAYS)
            .condition(
                ONE,
                &[(0, Some(60.0)), (300, None), (600, Some(590.0)), (900, Some(0.0))],
                &[(0, 30.0)],
            )
            .fires(DOWN, &[(After(90), At(300)), (After(620), At(900))]),
    ]
}

fn exporters() -> Vec<Timeline> {
    let two = ["web2", "critical", "down"];
    let long = &[(0, Some(0.0)), (60, Some(60.0)), (900, Some(0.0))];
    vec![
        Timeline::new("two exporters monitor the service with different results")
            .up("web1", ALWAYS)
            .up("web2", ALWAYS)
            .condition(ONE, &[(0, Some(0.0))], &[(0, 30.0)])
            .condition(two, long, &[(0, 60.0)])
            .fires("UpkeepServiceDown,instance=\"web2\"", &[(After(120), At(900))])
            .silent("UpkeepServiceDown,instance=\"web1\""),
        Timeline::new("two exporters monitor the service, and one of them is killed")
            .up("web1", &[(0, Some(1.0)), (300, Some(0.0))])
            .up("web2", ALWAYS)
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None)],
                &[(0, 30.0)],
            )
            .condition(two, long, &[(0, 30.0)])
            .fires(
                "UpkeepServiceDown,instance=\"web1\"",
                &[(After(90), HoldEnds(300))],
            )
            .fires("UpkeepServiceDown,instance=\"web2\"", &[(After(90), At(900))])
            .fires("UpkeepExporterDown,instance=\"web1\"", &[(At(360), NEVER)])
            .silent("UpkeepExporterDown,instance=\"web2\""),
    ]
}
