//! `labrig.procedures`: the manager that runs procedures, those of labrig and those of the program it is part of.
//!
//! It owns no device. What it promises of procedures is said at [`Procedure`]. Two kinds of procedures come with it:
//! `focus_sweep` finds the height of best focus, `time_lapse` keeps images at an interval.

mod focus_sweep;
mod parabola;
mod time_lapse;

use std::time::Duration;

use crate::prelude::*;
use crate::procedure::{
    Answered, AwaitProcedure, CheckpointRecord, ContinueProcedure, DeleteCheckpoint, KillProcedure,
    LaunchProcedure, ListProcedures, PauseProcedure, PlayProcedure, ProcedureChanges, ProcedureCheckpoints,
    ProcedureError, ProcedureId, ProcedureRecord, ProcedureStatus, Service, ServiceConfig, StateChange,
    SteerAll,
};
use crate::remote::{OfferTask, TaskAnswer, WhichHaveEnded};

pub use focus_sweep::{FocusPoint, FocusSweep, SweepError, SweepInputs, SweepReport};
pub use time_lapse::{LapseInputs, LapseReport, TimeLapse};

/// How long steps have to end when the process does; what they have not done by then is done again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs procedures.
pub struct ProcedureRunner {
    service: Service,
}

impl Manager for ProcedureRunner {
    type Config = ServiceConfig;

    fn setup(config: ServiceConfig, context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { service: Service::open(config, context)? })
    }

    /// A procedure that went on would have managers leave their safe states.
    fn enter_safe_state(&mut self, reason: SafeReason) {
        match reason.is_end() {
            true => self.service.stop(PATIENCE),
            false => self.service.hold_all("everything was stopped"),
        }
    }
}

#[manager(kind = "labrig.procedures")]
impl ProcedureRunner {
    #[ipc_command]
    fn launch(&mut self, command: LaunchProcedure) -> Result<ProcedureId, ProcedureError> {
        self.service.launch(&command)
    }

    #[ipc_command]
    fn take(&mut self, command: OfferTask) -> Result<TaskAnswer, ProcedureError> {
        self.service.take(&command)
    }

    #[ipc_command]
    fn go_on(&mut self, command: ContinueProcedure) -> Result<ProcedureId, ProcedureError> {
        self.service.go_on(&command)
    }

    #[ipc_command]
    fn pause(&mut self, command: PauseProcedure, context: &mut Context) -> Result<Answered, ProcedureError> {
        let answer = context.answer_later();
        self.service.pause(command, answer).map(|()| Answered::later())
    }

    #[ipc_command]
    fn play(&mut self, command: PlayProcedure) -> Result<Answered, ProcedureError> {
        self.service.play(command)
    }

    #[ipc_command]
    fn kill(&mut self, command: KillProcedure, context: &mut Context) -> Result<Answered, ProcedureError> {
        let answer = context.answer_later();
        self.service.kill(command, answer).map(|()| Answered::later())
    }

    #[ipc_command]
    fn steer_all(
        &mut self,
        command: SteerAll,
        context: &mut Context,
    ) -> Result<Vec<Answered>, ProcedureError> {
        let answer = context.answer_later();
        self.service.steer_all(command, answer).map(|()| Vec::new())
    }

    #[ipc_command]
    fn status(&mut self, command: ProcedureStatus) -> Result<ProcedureRecord, ProcedureError> {
        self.service.record(&command.id)
    }

    #[ipc_command]
    fn list(&mut self, command: ListProcedures) -> Result<Vec<ProcedureRecord>, ProcedureError> {
        self.service.list(&command)
    }

    #[ipc_command]
    fn end(
        &mut self,
        command: AwaitProcedure,
        context: &mut Context,
    ) -> Result<ProcedureRecord, ProcedureError> {
        let answer = context.answer_later();
        self.service.await_end(&command.id, answer)?;
        // What is returned is not sent; the record as it is now is at hand.
        self.service.record(&command.id)
    }

    #[ipc_command]
    fn checkpoints(
        &mut self,
        command: ProcedureCheckpoints,
    ) -> Result<Vec<CheckpointRecord>, ProcedureError> {
        self.service.checkpoints(&command.id)
    }

    #[ipc_command]
    fn delete_checkpoint(&mut self, command: DeleteCheckpoint) -> Result<bool, ProcedureError> {
        self.service.delete_checkpoints(&command.id, &command.tag)
    }

    #[ipc_command]
    fn which_have_ended(&mut self, command: WhichHaveEnded) -> Result<Vec<u64>, ProcedureError> {
        self.service.which_have_ended(&command)
    }

    #[ipc_command]
    fn changes(
        &mut self,
        command: ProcedureChanges,
        context: &mut Context,
    ) -> Result<Vec<StateChange>, ProcedureError> {
        let answer = context.answer_later();
        self.service.watch(&command, answer).map(|()| Vec::new())
    }
}
