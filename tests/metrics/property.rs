//! Property: strict parsers accept the text of any snapshot.

use proptest::collection::vec;
use proptest::prelude::*;
use upkeep_exporter::model::{CheckName, Reason, ServiceKey, Status, Tier};
use upkeep_exporter::store::{CheckView, ServiceView};

use crate::rendering::parsed;
use crate::snapshots::{aimed, answered, check, failed, process, service, snapshot, tcp};

/// Any text, in which escaped characters are frequent.
fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::sample::select(vec!['\0', '\n', '\r', '"', '\\', '#', '}', ','])
    ];
    vec(character, 0..12).prop_map(String::from_iter)
}

fn any_check() -> impl Strategy<Value = CheckView> {
    let status = prop::sample::select(Status::ALL);
    let reason = prop::sample::select(Reason::ALL);
    (
        any::<(bool, u8)>(),
        any_text(),
        status,
        reason,
        0.0..20.0_f64,
        any::<f64>(),
    )
        .prop_map(|((is_timed, history), target, status, reason, seconds, time)| {
            let kind = if is_timed { tcp("h") } else { process("p") };
            let mut view = aimed(check(&target, kind), &target);
            view = match history % 3 {
                0 => view,
                1 => answered(view, seconds),
                _ => failed(view, reason),
            };
            view.status = status;
            view.last_success = Some(time);
            view
        })
}

fn any_service() -> impl Strategy<Value = ServiceView> {
    let tier = prop::sample::select(Tier::ALL);
    let conditions = any::<Option<[f64; 3]>>();
    ([any_text(), any_text()], tier, vec(any_check(), 0..4), conditions).prop_map(
        |([name, group], tier, checks, conditions)| {
            let mut view = service("", &name, &group, tier, checks);
            view.conditions = conditions;
            view
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn parsers_accept_any_snapshot(services in vec(any_service(), 0..5)) {
        let mut snapshot = snapshot(services);
        // The configuration keeps keys and names unique.
        for (number, view) in snapshot.services.iter_mut().enumerate() {
            let mut service = (*view.service).clone();
            service.key = ServiceKey::new(number.to_string());
            view.service = service.into();
            for (number, check) in view.checks.iter_mut().enumerate() {
                let mut settings = (*check.settings).clone();
                settings.name = CheckName::new(format!("{}{number}", settings.name));
                check.settings = settings.into();
            }
        }
        parsed(snapshot);
    }
}
