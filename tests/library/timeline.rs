//! The timeline of a log counts every row with a timestamp, in at most 64 bins of the finest possible step.

use std::collections::BTreeMap;

use crate::common::{Home, bundle, indexed};
use patchwork_traces::format::Timeline;
use proptest::prelude::*;

fn timeline_of(times: &[i64]) -> Option<Timeline> {
    let log: String = times.iter().map(|time| format!("{{\"createdAt\":{time}}}\n")).collect();
    indexed(&bundle(&Home::new().with("runs.jsonl", log))).unwrap().manifest().files[0].timeline.clone()
}

/// Counts these times in bins of one step.
fn bins(times: &[i64], step_ms: u64) -> Vec<(i64, u64)> {
    let mut bins = BTreeMap::new();
    for time in times {
        *bins.entry(time.div_euclid(i64::try_from(step_ms).unwrap())).or_default() += 1;
    }
    bins.into_iter().collect()
}

/// Generates times that are close together, far apart, or both.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let close = 1_777_716_000_000_i64..1_777_717_000_000;
    let year = 1_767_225_600_000_i64..1_798_761_600_000;
    let any = -62_135_596_800_000_i64..253_370_764_799_999;
    proptest::collection::vec(prop_oneof![4 => close, 4 => year, 1 => any], 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn timeline_uses_the_finest_step_with_at_most_64_bins(times in times()) {
        let mut step_ms = 1000;
        while bins(&times, step_ms).len() > 64 {
            step_ms = Timeline::coarser_step(step_ms);
        }
        let expected = Timeline { step_ms, bins: bins(&times, step_ms) };
        prop_assert_eq!(timeline_of(&times), Some(expected));
    }
}

#[test]
fn exactly_64_bins_are_allowed() {
    let seconds = |n: i64| (0..n).map(|second| second * 1000).collect::<Vec<_>>();
    assert_eq!(timeline_of(&seconds(64)).map(|timeline| timeline.step_ms), Some(1000));
    assert_eq!(timeline_of(&seconds(65)).map(|timeline| timeline.step_ms), Some(2000));
    assert_eq!(timeline_of(&[]), None);
}
