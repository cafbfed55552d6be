//! The rules of supervision, with made-up times.

use std::time::{Duration, Instant};

use super::*;
use crate::config::{RestartPolicy, SafeProgram, Supervision};
use crate::shm::Activity;

const MS: Duration = Duration::from_millis(1);

fn rules() -> Supervision {
    Supervision {
        policy: RestartPolicy::OnFailure,
        max_restarts: 3,
        window: 1000 * MS,
        delay: 10 * MS,
        max_delay: 30 * MS,
        max_retries: 1,
        watchdog: Some(100 * MS),
        cancel_deadline: 5 * MS,
        terminate_deadline: 20 * MS,
        kill_deadline: 40 * MS,
        safe_program: None,
        rearm: None,
        on_panic: crate::config::OnPanic::Fail,
        lease: 250 * MS,
    }
}

fn with_safe_program() -> Supervision {
    let program = SafeProgram { program: "close".into(), args: Vec::new(), deadline: 50 * MS };
    Supervision { safe_program: Some(program), ..rules() }
}

// --- restarts ---

/// A manager ends at those times, in ms; each is answered by how long it stays down, in ms, or not at all.
fn check_restarts(policy: RestartPolicy, is_failure: bool, ends: &[(u32, Option<u32>)]) {
    let mut restarts = Restarts::new(&Supervision { policy, ..rules() });
    let begin = Instant::now();
    for (at, expected) in ends {
        let after = match restarts.decide(is_failure, begin + *at * MS) {
            Decision::Restart { after, .. } => Some(after),
            Decision::Failed(_) => None,
        };
        assert_eq!(after, expected.map(|after| after * MS), "the end at {at} ms");
    }
}

#[test]
fn each_restart_within_the_window_waits_twice_as_long_until_the_budget_is_spent() {
    check_restarts(
        RestartPolicy::OnFailure,
        true,
        &[(0, Some(10)), (100, Some(20)), (200, Some(30)), (300, None), (900, None)],
    );
}

#[test]
fn restarts_that_lie_back_longer_than_the_window_count_no_more() {
    check_restarts(
        RestartPolicy::OnFailure,
        true,
        &[
            (0, Some(10)),
            (100, Some(20)),
            (1_050, Some(20)),
            (1_500, Some(20)),
            (1_600, Some(30)),
            (1_700, None),
            (3_000, Some(10)),
        ],
    );
}

#[test]
fn the_policy_decides_which_ends_are_followed_by_a_restart() {
    check_restarts(RestartPolicy::Never, true, &[(0, None)]);
    check_restarts(RestartPolicy::OnFailure, false, &[(0, None)]);
    check_restarts(RestartPolicy::Always, false, &[(0, Some(10))]);
}

#[test]
fn a_renewed_budget_is_fresh() {
    let (mut restarts, now) = (Restarts::new(&Supervision { max_restarts: 1, ..rules() }), Instant::now());
    let first = Decision::Restart { after: 10 * MS, number: 1 };
    assert_eq!(restarts.decide(true, now), first);
    let given_up = GivenUp::Budget { restarts: 1, window: 1000 * MS };
    assert_eq!(restarts.decide(true, now), Decision::Failed(given_up));
    restarts.renew();
    assert_eq!(restarts.decide(true, now), first);
}

// --- the watch ---

const IDLE: Activity = Activity {
    taken: 7,
    done: 7,
    current_command: 1,
    busy_since_ns: None,
    allowance_ns: None,
    step: 0,
    steps: 0,
};

/// At a command since `since`, for which it may take `allowance`.
fn busy(taken: u64, since: u64, allowance: Option<u64>) -> Activity {
    Activity { taken, done: taken - 1, busy_since_ns: Some(since), allowance_ns: allowance, ..IDLE }
}

/// Looks at these times, with what was sent and seen then.
fn check_watch(looks: &[(u64, u64, Activity, &str)]) {
    let mut watch = Watch::new(Duration::from_nanos(100));
    for (now_ns, sent, activity, expected) in looks {
        let look = Look { activity: *activity, sent: *sent, now_ns: *now_ns };
        let verdict = match watch.judge(&look) {
            Verdict::Quiet => "quiet".to_owned(),
            Verdict::FineUntil(at) => format!("fine until {at}"),
            Verdict::Stuck(Because::Overdue { busy_ns, .. }) => format!("busy for {busy_ns}"),
            Verdict::Stuck(Because::TakesNothing { waiting, since_ns }) => {
                format!("{waiting} wait for {since_ns}")
            }
            Verdict::Stuck(other) => format!("{other:?}"),
        };
        assert_eq!(verdict, *expected, "at {now_ns}");
    }
}

#[test]
fn a_handler_is_fine_until_its_allowance_ends() {
    let at = busy(8, 1_000, Some(100));
    check_watch(&[
        (1_000, 8, at, "fine until 1100"),
        (1_099, 8, at, "fine until 1100"),
        (1_100, 8, at, "busy for 100"),
    ]);
}

#[test]
fn a_sign_of_life_moves_the_end_of_the_allowance() {
    check_watch(&[
        (1_050, 8, busy(8, 1_000, Some(100)), "fine until 1100"),
        (1_100, 8, busy(8, 1_000, Some(190)), "fine until 1190"),
        (1_190, 8, busy(8, 1_000, Some(190)), "busy for 190"),
    ]);
}

#[test]
fn a_handler_without_allowance_is_never_stuck() {
    let at = busy(8, 1_000, None);
    check_watch(&[(1_000, 9, at, "fine until 1100"), (90_000, 9, at, "fine until 90100")]);
}

#[test]
fn one_handler_after_the_other_is_no_hang_however_long_it_goes_on() {
    check_watch(&[
        (1_000, 20, busy(8, 950, Some(100)), "fine until 1050"),
        (1_050, 20, busy(9, 1_040, Some(100)), "fine until 1140"),
        (1_140, 20, busy(10, 1_139, Some(100)), "fine until 1239"),
    ]);
}

#[test]
fn a_manager_that_takes_nothing_of_what_it_was_sent_is_stuck_after_a_period() {
    check_watch(&[
        (1_000, 9, IDLE, "fine until 1100"),
        (1_100, 9, IDLE, "2 wait for 100"),
        (1_101, 9, Activity { taken: 8, done: 8, ..IDLE }, "fine until 1201"),
        (1_201, 9, Activity { taken: 8, done: 8, ..IDLE }, "1 wait for 100"),
    ]);
}

#[test]
fn what_came_into_the_pipe_between_two_looks_waits_since_the_second() {
    check_watch(&[
        (1_000, 7, IDLE, "quiet"),
        (1_099, 8, IDLE, "fine until 1199"),
        (1_199, 8, IDLE, "1 wait for 100"),
    ]);
}

#[test]
fn a_manager_that_has_done_all_it_was_sent_is_not_looked_at_again() {
    let set_up = Activity { steps: 1, ..IDLE };
    check_watch(&[
        (1_000, 7, set_up, "quiet"),
        (1_050, 8, busy(8, 1_050, Some(100)), "fine until 1150"),
        (1_060, 8, Activity { taken: 8, ..set_up }, "fine until 1160"),
        (1_061, 8, Activity { taken: 8, done: 8, ..set_up }, "quiet"),
    ]);
}

#[test]
fn one_that_begins_steps_by_itself_is_looked_at_again() {
    check_watch(&[
        (1_000, 7, Activity { steps: 2, ..IDLE }, "fine until 1100"),
        (1_100, 7, Activity { steps: 9, ..IDLE }, "fine until 1200"),
        (1_200, 7, Activity { steps: 9, ..IDLE }, "quiet"),
    ]);
}

#[test]
fn what_was_stuck_has_recovered_once_it_is_at_something_else_or_has_more_time() {
    let stuck = busy(8, 1_000, Some(100));
    let because = Because::Overdue { activity: stuck, busy_ns: 100 };
    let look = |activity, now_ns| Look { activity, sent: 9, now_ns };
    for (activity, expected) in [
        (stuck, false),
        (busy(8, 1_000, Some(500)), true),
        (busy(8, 1_000, None), true),
        (busy(9, 1_150, Some(100)), true),
        (Activity { taken: 8, done: 8, ..IDLE }, true),
    ] {
        assert_eq!(Watch::has_recovered(&because, &look(activity, 1_200)), expected, "{activity:?}");
    }
    let because = Because::TakesNothing { waiting: 2, since_ns: 100 };
    assert!(!Watch::has_recovered(&because, &look(IDLE, 1_200)));
    assert!(Watch::has_recovered(&because, &look(Activity { taken: 8, ..IDLE }, 1_200)));
}

// --- the ladder ---

const SAFE: Duration = Duration::from_millis(7);

fn overdue() -> Because {
    Because::Overdue { activity: busy(8, 1_000, Some(100)), busy_ns: 100 }
}

/// A manager is stuck at 0 and nothing helps: these steps come at these times, in ms.
fn check_ladder(rules: &Supervision, first: Rung, expected: &[(u32, Step)]) {
    let (mut supervisor, begin) = (Supervisor::new(rules, SAFE), Instant::now());
    let mut steps = vec![(Duration::ZERO, supervisor.stuck(overdue(), first, begin).expect("a first rung"))];
    while let Some(due) = supervisor.due() {
        assert_eq!(supervisor.passed(due - MS / 2), None, "too early");
        steps.extend(supervisor.passed(due).map(|step| (due - begin, step)));
    }
    let expected: Vec<_> = expected.iter().map(|(at, step)| (*at * MS, *step)).collect();
    assert_eq!(steps, expected);
}

#[test]
fn a_stuck_manager_gets_one_rung_after_the_other_each_with_its_deadline() {
    let all = [
        (0, Step::Try(Rung::Cancel)),
        (5, Step::Try(Rung::Safe)),
        (12, Step::Try(Rung::Terminate)),
        (39, Step::Try(Rung::Kill)),
        (79, Step::Abandon),
    ];
    check_ladder(&rules(), Rung::Cancel, &all);
    let rest = [(0, Step::Try(Rung::Terminate)), (27, Step::Try(Rung::Kill)), (67, Step::Abandon)];
    check_ladder(&rules(), Rung::Terminate, &rest);
}

#[test]
fn what_cannot_be_killed_is_given_up_once_its_safe_program_has_run() {
    let rest = [(0, Step::Try(Rung::Kill)), (40, Step::RunSafeProgram), (90, Step::KillSafeProgram)];
    check_ladder(&with_safe_program(), Rung::Kill, &rest);
    for ends_meanwhile in [false, true] {
        let (mut supervisor, now) = (Supervisor::new(&with_safe_program(), SAFE), Instant::now());
        supervisor.stuck(overdue(), Rung::Kill, now);
        assert_eq!(supervisor.passed(now + 40 * MS), Some(Step::RunSafeProgram));
        let end = End { is_unsafe: true, next: FAILURE };
        if ends_meanwhile {
            assert_eq!(supervisor.ended(end, now + 41 * MS), None, "it runs already");
        }
        let then = supervisor.secured(now + 50 * MS).expect("something follows");
        assert_eq!(matches!(then, Step::Wait { .. }), ends_meanwhile, "{then:?}");
        assert_eq!(then == Step::Abandon, !ends_meanwhile, "{then:?}");
    }
}

#[test]
fn a_manager_may_come_back_to_life_on_the_first_two_rungs_only() {
    for (first, may) in
        [(Rung::Cancel, true), (Rung::Safe, true), (Rung::Terminate, false), (Rung::Kill, false)]
    {
        let (mut supervisor, now) = (Supervisor::new(&rules(), SAFE), Instant::now());
        assert!(supervisor.stuck(overdue(), first, now).is_some());
        assert_eq!(supervisor.hopes().is_some(), may, "{first:?}");
        supervisor.recovered();
        assert_eq!(supervisor.due().is_none(), may, "{first:?}");
    }
}

#[test]
fn what_is_stuck_already_is_not_tried_again_but_for_a_higher_rung() {
    let (mut supervisor, now) = (Supervisor::new(&rules(), SAFE), Instant::now());
    assert_eq!(supervisor.stuck(overdue(), Rung::Safe, now), Some(Step::Try(Rung::Safe)));
    assert_eq!(supervisor.stuck(overdue(), Rung::Cancel, now), None);
    assert_eq!(supervisor.stuck(overdue(), Rung::Safe, now), None);
    assert_eq!(supervisor.stuck(overdue(), Rung::Kill, now), Some(Step::Try(Rung::Kill)));
}

#[test]
fn a_stopped_process_has_its_time_to_be_continued() {
    let (mut supervisor, now) = (Supervisor::new(&rules(), SAFE), Instant::now());
    supervisor.frozen(100 * MS, now);
    assert!(supervisor.is_stuck() && supervisor.passed(now + 99 * MS).is_none());
    supervisor.thawed();
    assert!(!supervisor.is_stuck() && supervisor.due().is_none());
    supervisor.frozen(100 * MS, now);
    assert_eq!(supervisor.passed(now + 100 * MS), Some(Step::Try(Rung::Cancel)));
}

// --- ends ---

const FAILURE: Next = Next::ByPolicy { is_failure: true };

#[test]
fn the_safe_program_runs_before_the_restart_when_nobody_knows_that_all_is_safe() {
    let now = Instant::now();
    let ended = |rules: &Supervision, is_unsafe| {
        Supervisor::new(rules, SAFE).ended(End { is_unsafe, next: FAILURE }, now).expect("something follows")
    };
    let wait = Step::Wait { after: 10 * MS, number: 1 };
    assert_eq!(ended(&with_safe_program(), true), Step::RunSafeProgram);
    assert_eq!(ended(&with_safe_program(), false), wait);
    assert_eq!(ended(&rules(), true), wait);
}

#[test]
fn a_late_safe_program_is_killed_once_and_the_restart_follows_its_end() {
    let (mut supervisor, now) = (Supervisor::new(&with_safe_program(), SAFE), Instant::now());
    supervisor.ended(End { is_unsafe: true, next: FAILURE }, now);
    assert_eq!(supervisor.passed(now + 50 * MS), Some(Step::KillSafeProgram));
    assert_eq!((supervisor.due(), supervisor.passed(now + 500 * MS)), (None, None));
    let later = now + 600 * MS;
    assert_eq!(supervisor.secured(later), Some(Step::Wait { after: 10 * MS, number: 1 }));
    assert_eq!(supervisor.passed(later + 10 * MS), Some(Step::Start));
}

#[test]
fn a_quit_starts_nothing_again_but_lets_the_safe_program_end() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&rules(), SAFE);
    supervisor.ended(End { is_unsafe: true, next: FAILURE }, now);
    supervisor.quit();
    assert_eq!(supervisor.due(), None);
    let mut supervisor = Supervisor::new(&with_safe_program(), SAFE);
    supervisor.ended(End { is_unsafe: true, next: FAILURE }, now);
    supervisor.quit();
    assert_eq!(supervisor.secured(now), Some(Step::Rest(None)));
}

#[test]
fn one_that_has_failed_is_started_again_when_somebody_asks_for_it() {
    let (mut supervisor, now) =
        (Supervisor::new(&Supervision { max_restarts: 0, ..rules() }, SAFE), Instant::now());
    let given_up = GivenUp::Budget { restarts: 0, window: 1000 * MS };
    assert_eq!(
        supervisor.ended(End { is_unsafe: false, next: FAILURE }, now),
        Some(Step::Rest(Some(given_up)))
    );
    assert!(supervisor.has_failed());
    assert!(supervisor.revive(now));
    assert_eq!(supervisor.passed(now), Some(Step::Start));
    assert!(!supervisor.revive(now), "it runs");
}

// --- anything at all ---

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A manager that hangs, freezes, comes back, is killed and dies at random moments.
fn check_a_life_of_misfortune(seed: u64) {
    let mut dice = Dice(seed);
    let rules = if dice.roll(2) == 0 { rules() } else { with_safe_program() };
    let (mut supervisor, mut now) = (Supervisor::new(&rules, SAFE), Instant::now());
    let mut starts: Vec<Instant> = Vec::new();
    let mut is_alive = true;
    for _ in 0..400 {
        now += dice.roll(15) as u32 * MS;
        let step = match dice.roll(6) {
            0 if is_alive => supervisor.stuck(overdue(), Rung::Cancel, now),
            1 if is_alive && dice.roll(4) == 0 => {
                is_alive = false;
                supervisor.ended(End { is_unsafe: dice.roll(2) == 0, next: FAILURE }, now)
            }
            2 if is_alive && dice.roll(4) == 0 => {
                supervisor.recovered();
                None
            }
            3 if !is_alive => supervisor.secured(now),
            // Time may come late, never early.
            _ => supervisor.due().filter(|due| *due <= now).and_then(|_| supervisor.passed(now)),
        };
        match step {
            Some(Step::Start) => {
                assert!(!is_alive, "seed {seed}: started while it runs");
                is_alive = true;
                starts.push(now);
            }
            Some(Step::Abandon | Step::Rest(Some(_))) => break,
            Some(Step::Try(_)) => assert!(is_alive, "seed {seed}: the dead are on no ladder"),
            _ => {}
        }
        let recent = starts.iter().filter(|at| now.saturating_duration_since(**at) < 1000 * MS - 31 * MS);
        assert!(recent.count() <= 3, "seed {seed}: started beyond its budget");
    }
}

#[test]
fn whatever_happens_restarts_stay_within_their_budget_and_the_dead_are_left_alone() {
    (0..500).for_each(check_a_life_of_misfortune);
}

/// Nothing helps, and every look is as late as it likes: the ladder ends within its deadlines and the lateness.
#[test]
fn the_ladder_always_ends_within_the_sum_of_its_deadlines() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (mut supervisor, begin) = (Supervisor::new(&rules(), SAFE), Instant::now());
        supervisor.stuck(overdue(), Rung::Cancel, begin);
        let (mut now, mut late) = (begin, Duration::ZERO);
        while let Some(due) = supervisor.due() {
            let delay = dice.roll(9) as u32 * MS;
            late += delay;
            now = due + delay;
            assert!(supervisor.passed(now).is_some());
            supervisor.stuck(overdue(), Rung::Cancel, now);
        }
        let sum = 5 * MS + SAFE + (SAFE + 20 * MS) + 40 * MS;
        assert_eq!(now - begin, sum + late, "seed {seed}");
    }
}
