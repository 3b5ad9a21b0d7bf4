//! Timelines for changed settings, overlapping conditions and late evidence.

use super::scenarios::{ALWAYS, DOWN, ONE, SINCE, SLOW, TOLERATED, gap};
use super::timelines::Edge::{After, At, HoldEnds, Seen};
use super::timelines::Timeline;

const DEGRADED: &str = "UpkeepServiceDegraded";
const ONE_DEGRADED: [&str; 3] = ["web1", "critical", "degraded"];
const CONFIRMED: &str = "upkeep:service_condition_confirmed:held";

pub fn all() -> Vec<Timeline> {
    [edits(), degraded(), confirmed()].into_iter().flatten().collect()
}

fn edits() -> Vec<Timeline> {
    let tolerant = ["web1", "tolerant", "down"];
    let long = &[(0, Some(0.0)), (60, Some(60.0)), (900, Some(0.0))];
    vec![
        Timeline::new("the tier changes during an outage")
            .up("web1", ALWAYS)
            .condition(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (120, None)],
                &[(0, 30.0)],
            )
            .condition(
                tolerant,
                &[(0, None), (120, Some(60.0)), (600, Some(0.0))],
                &[(0, 120.0)],
            )
            .fires(DOWN, &[(After(90), At(120))])
            .fires(TOLERATED, &[(After(180), At(600))]),
        Timeline::new("the tier changes in a gap")
            .up("web1", &gap(300, 480))
            .condition(
                tolerant,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None)],
                &[(0, 120.0)],
            )
            .condition(
                ONE,
                &[(0, None), (480, Some(60.0)), (600, Some(0.0))],
                &[(0, 30.0)],
            )
            .fires(TOLERATED, &[(After(180), At(480))])
            .fires(DOWN, &[(At(480), At(600))]),
        Timeline::new("the tolerance is raised while the alert fires")
            .up("web1", ALWAYS)
            .condition(ONE, long, &[(0, 30.0), (150, 300.0)])
            .fires(DOWN, &[(After(90), At(150)), (After(360), At(900))]),
        Timeline::new("the tolerance is lowered before the alert fires")
            .up("web1", ALWAYS)
            .condition(ONE, long, &[(0, 600.0), (240, 60.0)])
            .fires(DOWN, &[(At(240), At(900))]),
        Timeline::new("the tolerance is raised in a gap, and the old one holds until the end of the gap")
            .up("web1", &gap(300, 480))
            .condition(
                ONE,
                &[
                    (0, Some(0.0)),
                    (60, Some(60.0)),
                    (300, None),
                    (480, Some(60.0)),
                    (900, Some(0.0)),
                ],
                &[(0, 30.0), (480, 600.0)],
            )
            .fires(DOWN, &[(After(90), At(480)), (After(660), At(900))]),
    ]
}

fn degraded() -> Vec<Timeline> {
    vec![
        Timeline::new("degraded, then down, then up: degraded fires once and does not end when it gets worse, even over a gap")
            .up("web1", &gap(300, 480))
            .condition(ONE_DEGRADED, &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(60.0)), (900, Some(0.0))], &[(0, 60.0)])
            .condition(ONE, &[(0, Some(0.0)), (180, Some(180.0)), (300, None), (480, Some(180.0)), (600, Some(0.0))], &[(0, 30.0)])
            .fires(DEGRADED, &[(After(120), At(900))])
            .fires(DOWN, &[(After(210), At(600))]),
        Timeline::new("down immediately, then degraded: degraded fires when the service is no longer down, even over a gap")
            .up("web1", &gap(300, 480))
            .condition(ONE_DEGRADED, &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(60.0)), (900, Some(0.0))], &[(0, 60.0)])
            .condition(ONE, &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(60.0)), (600, Some(0.0))], &[(0, 30.0)])
            .fires(DOWN, &[(After(90), At(600))])
            .fires(DEGRADED, &[(At(600), At(900))]),
        Timeline::new("down on one exporter does not silence degraded on the other")
            .up("web1", ALWAYS)
            .up("web2", ALWAYS)
            .condition(ONE_DEGRADED, &[(0, Some(0.0)), (60, Some(60.0)), (900, Some(0.0))], &[(0, 60.0)])
            .condition(["web2", "critical", "down"], &[(0, Some(60.0))], &[(0, 30.0)])
            .fires(DEGRADED, &[(After(120), At(900))]),
        Timeline::new("alternates between up, degraded and down")
            .up("web1", ALWAYS)
            // degraded 60, down 120, degraded 150, up 180, down 240, degraded 300, down 330, degraded 420, up 480, down 510
            .condition(
                ONE_DEGRADED,
                &[(0, Some(0.0)), (60, Some(60.0)), (180, Some(0.0)), (240, Some(240.0)), (480, Some(0.0)), (510, Some(510.0)), (540, Some(0.0))],
                &[(0, 60.0)],
            )
            .condition(
                ONE,
                &[(0, Some(0.0)), (120, Some(120.0)), (150, Some(0.0)), (240, Some(240.0)), (300, Some(0.0)), (330, Some(330.0)), (420, Some(0.0)), (510, Some(510.0)), (540, Some(0.0))],
                &[(0, 30.0)],
            )
            .fires(DEGRADED, &[(After(120), At(180)), (After(300), At(480))])
            .fires(DOWN, &[(After(270), At(300)), (After(360), At(420))]),
    ]
}

/// Conditions whose evidence is late or missing.
fn confirmed() -> Vec<Timeline> {
    let lasting = &[(0, Some(0.0)), (60, Some(60.0)), (600, Some(0.0))];
    let through = &[
        (0, Some(0.0)),
        (60, Some(60.0)),
        (90, None),
        (270, Some(60.0)),
        (600, Some(0.0)),
    ];
    let unconfirmed = &[(0, Some(0.0)), (90, None), (270, Some(0.0))];
    vec![
        Timeline::new("a condition lasts, and no further run sees it: no page")
            .up("web1", ALWAYS)
            .evidence(ONE, lasting, &[(0, 30.0)], &[(0, Some(0.0))])
            .exists(CONFIRMED, &[(At(60), At(600))])
            .silent(DOWN),
        Timeline::new("confirmed later than its tolerance ends")
            .up("web1", ALWAYS)
            .evidence(ONE, lasting, &[(0, 30.0)], &[(0, Some(0.0)), (127, Some(1.0)), (600, Some(0.0))])
            .fires(DOWN, &[(Seen(127), At(600))]),
        Timeline::new("confirmed before its tolerance ends")
            .up("web1", ALWAYS)
            .evidence(ONE, lasting, &[(0, 90.0)], &[(0, Some(0.0)), (120, Some(1.0)), (600, Some(0.0))])
            .fires(DOWN, &[(After(150), At(600))]),
        Timeline::new("a tolerant service")
            .up("web1", ALWAYS)
            .evidence(["web1", "tolerant", "down"], lasting, &[(0, 30.0)], &[(0, Some(0.0)), (240, Some(1.0)), (600, Some(0.0))])
            .fires(TOLERATED, &[(At(240), At(600))]),
        Timeline::new("slow")
            .up("web1", ALWAYS)
            .evidence(["web1", "critical", "slow"], lasting, &[(0, 30.0)], &[(0, Some(0.0)), (240, Some(1.0)), (600, Some(0.0))])
            .fires(SLOW, &[(At(240), At(600))]),
        Timeline::new("the exporter is killed after one failed run, and the service recovers in the gap: held without a page")
            .up("web1", &gap(90, 270))
            .evidence(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (90, None), (270, Some(0.0))],
                &[(0, 30.0)],
                unconfirmed,
            )
            .exists(SINCE, &[(At(60), At(270))])
            .exists(CONFIRMED, &[(At(60), At(270))])
            .silent(DOWN),
        Timeline::new("the exporter stays down after one failed run: held without a page")
            .up("web1", &[(0, Some(1.0)), (90, Some(0.0))])
            .evidence(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (90, None)],
                &[(0, 30.0)],
                &[(0, Some(0.0)), (90, None)],
            )
            .exists(SINCE, &[(At(60), HoldEnds(90))])
            .exists(CONFIRMED, &[(At(60), HoldEnds(90))])
            .silent(DOWN),
        Timeline::new("the exporter is killed after one failed run, and confirms the outage after its restart")
            .up("web1", &gap(90, 270))
            .evidence(ONE, through, &[(0, 30.0)], &[(0, Some(0.0)), (90, None), (270, Some(0.0)), (300, Some(1.0)), (600, Some(0.0))])
            .fires(DOWN, &[(At(300), At(600))]),
        Timeline::new("confirmed is held over a gap, and so is the page")
            .up("web1", &gap(300, 480))
            .evidence(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(60.0)), (600, Some(0.0))],
                &[(0, 30.0)],
                &[(0, Some(0.0)), (120, Some(1.0)), (300, None), (480, Some(1.0)), (600, Some(0.0))],
            )
            .fires(DOWN, &[(At(120), At(600))]),
        Timeline::new("confirmed is missing in one scrape, which is not a recovery")
            .up("web1", ALWAYS)
            .evidence(
                ONE,
                lasting,
                &[(0, 30.0)],
                &[(0, Some(0.0)), (120, Some(1.0)), (300, None), (330, Some(1.0)), (600, Some(0.0))],
            )
            .fires(DOWN, &[(At(120), At(600))]),
        Timeline::new("a new condition in a gap must be confirmed again")
            .up("web1", &gap(300, 480))
            .evidence(
                ONE,
                &[(0, Some(0.0)), (60, Some(60.0)), (300, None), (480, Some(420.0)), (600, Some(0.0))],
                &[(0, 30.0)],
                &[(0, Some(0.0)), (120, Some(1.0)), (300, None), (480, Some(0.0)), (540, Some(1.0)), (600, Some(0.0))],
            )
            .fires(DOWN, &[(At(120), At(480)), (At(540), At(600))]),
        Timeline::new("down past its tolerance but not confirmed does not silence degraded")
            .up("web1", ALWAYS)
            .condition(ONE_DEGRADED, lasting, &[(0, 60.0)])
            .evidence(ONE, lasting, &[(0, 30.0)], &[(0, Some(0.0))])
            .fires(DEGRADED, &[(After(120), At(600))])
            .silent(DOWN),
        Timeline::new("degraded is not confirmed")
            .up("web1", ALWAYS)
            .evidence(ONE_DEGRADED, lasting, &[(0, 60.0)], &[(0, Some(0.0)), (240, Some(1.0)), (600, Some(0.0))])
            .fires(DEGRADED, &[(At(240), At(600))]),
    ]
}
