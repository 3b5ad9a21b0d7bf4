//! What people see of a job. Pure.

use super::assess::Assessment;
use super::job::{Job, StoredBeat};
use crate::model::{BeatView, JobView, WallAnchor};

/// Describes a job.
pub fn view(job: &Job, assessment: &Assessment, wall: WallAnchor) -> JobView {
    JobView {
        state: assessment.state,
        last_success: job.last_success.map(|success| wall.seconds(success.at)),
        last_start: job.last_start.map(|start| wall.seconds(start)),
        due: assessment.due.map(|due| wall.seconds(due)),
        deadline: assessment.deadline.map(|deadline| wall.seconds(deadline)),
        open_runs: job.open_runs.len(),
        beats: job.beats.iter().rev().map(|stored| beat(stored, wall)).collect(),
    }
}

fn beat(stored: &StoredBeat, wall: WallAnchor) -> BeatView {
    BeatView {
        at: wall.seconds(stored.at),
        kind: stored.beat.kind,
        exit_status: stored.beat.exit_status,
        run_id: stored.beat.run_id.clone(),
        run_time: stored.run_time,
        message: stored.message.clone(),
    }
}
