//! Property: strict parsers accept the text of any snapshot.

use proptest::collection::vec;
use proptest::prelude::*;
use upkeep_exporter::metrics::{Exposition, Format};
use upkeep_exporter::model::{CheckName, Reason, ServiceKey, Status, Tier};
use upkeep_exporter::store::{CheckView, ServiceView, Snapshot};

use crate::own_process;
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

/// A snapshot of these services. The configuration keeps keys and names unique.
fn snapshot_of(services: Vec<ServiceView>) -> Snapshot {
    let mut snapshot = snapshot(services);
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
    snapshot
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn parsers_accept_any_snapshot(services in vec(any_service(), 0..5)) {
        parsed(snapshot_of(services));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20) })]

    #[test]
    fn pieces_make_up_the_exposition(services in vec(any_service(), 0..5), copies in 1..40_usize) {
        let services = std::iter::repeat_n(services, copies).flatten().collect();
        let exposition = Exposition::new(snapshot_of(services), Some(own_process()));
        for format in [Format::OpenMetrics, Format::Classic, Format::Protobuf] {
            let mut pieces = Vec::new();
            exposition.to_pieces(format, &mut |piece| pieces.push(piece.to_vec()));
            prop_assert!(pieces.concat() == exposition.to_bytes(format, 0), "{format:?}");
            let sizes: Vec<_> = pieces.iter().map(Vec::len).collect();
            let (_, others) = sizes.split_last().unwrap();
            if format == Format::Protobuf {
                // A long family is a piece by itself, and what is before it another one.
                let is_long = |pair: &[usize]| pair.iter().any(|size| *size >= 64 * 1024);
                prop_assert!(others.windows(2).all(is_long), "{sizes:?}");
            } else {
                // A piece ends with the series that exceeds the length.
                prop_assert!(others.iter().all(|size| *size >= 64 * 1024), "{sizes:?}");
                prop_assert!(sizes.iter().all(|size| *size <= 80 * 1024), "{sizes:?}");
            }
        }
    }
}
