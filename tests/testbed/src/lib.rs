//! Managers that do as they are told, good or bad, for the tests of labrig's processes.

pub mod awaiter;
pub mod careful;
pub mod carrier;
pub mod checker;
pub mod commands;
pub mod faulty;
pub mod filler;
pub mod gauge;
pub mod guarded;
pub mod journal;
pub mod lab;
pub mod labourer;
pub mod listener;
pub mod patient;
pub mod procedures;
pub mod ringer;
pub mod sharer;
pub mod shelf;
pub mod stirrer;
pub mod streamer;
pub mod study;
pub mod tuned;
pub mod worker;
