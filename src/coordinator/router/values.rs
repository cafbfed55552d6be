//! Values that stay where they are: who has handles to them, and who is asked when a method of one is called.

use super::holders::ValueCounts;
use super::{Caller, Effect, Life, Router};
use crate::remote::remote_ref::in_words;
use crate::wire::{Attached, HandleId, Header, Hop, Parcel, Refusal};

impl Router {
    /// An envelope of the process at that place has come: from now on the values whose handles it carries are on their way,
    /// as long as the envelope or a copy of it is there.
    pub fn enter(&self, place: u16, attached: &mut Attached) {
        self.holders.enter(place, &mut attached.handles);
    }

    /// The same for a manager.
    pub fn enter_from(&self, index: usize, attached: &mut Attached) {
        self.enter(self.place(index), attached);
    }

    /// The process at that place is given an envelope: it holds the values whose handles that carries.
    pub fn deliver(&self, place: u16, attached: &Attached) {
        self.holders.deliver(place, &attached.handles);
    }

    /// The process at that place holds values no longer that it was given so often.
    pub fn release(&self, place: u16, released: &[(HandleId, u64)]) {
        self.holders.release(place, released);
    }

    /// The same for a manager.
    pub fn release_from(&self, index: usize, released: &[(HandleId, u64)]) {
        self.release(self.place(index), released);
    }

    /// How many values a station has that others hold, and how many of others it holds.
    pub fn values(&self, index: usize) -> ValueCounts {
        self.holders.counts(self.place(index))
    }

    /// The station at that place, when there is one.
    pub fn place_at(&self, place: u16) -> Option<usize> {
        match place {
            Hop::SCOPE => Some(self.scope),
            place => Some(usize::from(place)).filter(|index| *index < self.scope),
        }
    }

    fn place(&self, index: usize) -> u16 {
        if index == self.scope { Hop::SCOPE } else { place_of(index) }
    }

    /// Something has gone into a station's pipe.
    pub(super) fn delivered(&self, index: usize, parcel: &Parcel) {
        if let Some(attached) = &parcel.attached {
            self.deliver(self.place(index), attached);
        }
    }

    /// What owners are to know becomes something to be done.
    pub(super) fn tell_of_holders(&mut self) {
        if self.holders.has_news() {
            self.effects.push(Effect::Holders(self.holders.take_news()));
        }
    }

    /// Who has the value of which a method is called: that of the last handle. A value that is gone, or to which the
    /// caller was never given a handle, is nobody's.
    pub(super) fn owner_for(&self, caller: Caller, header: &Header) -> Result<usize, Refusal> {
        let command = || self.command_name(header.command);
        let handle = header.attached.as_ref().and_then(|attached| attached.handles.last());
        let handle = handle.ok_or_else(|| Refusal::UnknownCommand { command: command() })?.id;
        let place = match caller {
            Caller::Manager { index, .. } => self.place(index),
            _ => Hop::SCOPE,
        };
        let owner = self.place_at(handle.owner).filter(|index| {
            let station = &self.stations[*index];
            station.generation == handle.generation
                && station.life != Life::Dead
                && self.holders.holds(place, handle)
        });
        owner.ok_or_else(|| Refusal::StaleHandle {
            handle: self.handle_in_words(handle, &command()),
            command: command(),
        })
    }

    fn handle_in_words(&self, handle: HandleId, method: &str) -> String {
        let type_name = method.split_once("::").map_or(method, |(type_name, _)| type_name);
        let owner = self.place_at(handle.owner).map(|index| self.stations[index].name.as_str());
        in_words(type_name, owner.unwrap_or("?"), handle)
    }
}

/// A manager's place, as handles say it.
pub(super) fn place_of(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(Hop::SCOPE)
}
