//! Values on their way through the coordinator, and those of its own process.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::core::{Core, CoreState};
use super::main_loop::MainLoop;
use super::router::{HolderNews, Router};
use crate::registry::remote_methods;
use crate::remote::estate::Home;
use crate::remote::{Answer, Estate, MAX_REMOTE_VALUES, Port};
use crate::wire::control::{self, CoordinatorWord, ReleasedValue};
use crate::wire::{Attached, BroadcastOutcome, CommandId, Ending, Generation, HandleId, Hop, Parcel};

impl Core {
    /// Says where the values of this process are.
    pub(super) fn settle_estate(self: &Arc<Self>) {
        let (core, waker): (Weak<Self>, Weak<Self>) = (Arc::downgrade(self), Arc::downgrade(self));
        self.values.settle_at(Home {
            place: Hop::SCOPE,
            generation: Generation(1),
            limit: MAX_REMOTE_VALUES,
            port: core as Weak<dyn Port>,
            wake: Box::new(move || waker.upgrade().into_iter().for_each(|core| core.wake.ring())),
        });
    }

    /// What a thread of this process sends: from now on the values whose handles it carries are on their way.
    pub(super) fn send_values(&self, router: &Router, attached: Option<&mut Attached>) {
        let Some(attached) = attached else { return };
        self.values.leaving(Some(attached));
        router.enter(Hop::SCOPE, attached);
    }

    /// What comes in for a thread of this process, which holds the values whose handles it carries from now on.
    pub(super) fn receive_values(&self, router: &Router, attached: Option<&mut Attached>) {
        let Some(attached) = attached else { return };
        router.deliver(Hop::SCOPE, attached);
        self.values.arrived(Some(attached));
    }

    /// The same for the answer of a call.
    pub(super) fn receive_answer(&self, router: &Router, answer: &mut Answer) {
        let receive = |parcel: &mut Parcel| self.receive_values(router, parcel.attached.as_deref_mut());
        match answer {
            Answer::One { ending: Ending::Done(parcel), .. } => receive(parcel),
            Answer::One { ending: Ending::NotDone(why), .. } => why.error_mut().into_iter().for_each(receive),
            Answer::Many(all) => {
                let of_one = |one: &mut BroadcastOutcome| match &mut one.outcome {
                    Ok(parcel) => receive(parcel),
                    Err(why) => why.error_mut().into_iter().for_each(receive),
                };
                all.iter_mut().for_each(of_one);
            }
        }
    }

    /// Tells those who have values who holds them, and who does not.
    pub(super) fn tell_owners(&self, state: &mut CoreState, news: Vec<HolderNews>) {
        let mut unheld: BTreeMap<u16, Vec<(u64, u64)>> = BTreeMap::new();
        for news in news {
            match news {
                HolderNews::Unheld { value, seen } if is_there(&state.router, value) => {
                    unheld.entry(value.owner).or_default().push((value.number(), seen));
                }
                HolderNews::Holder { value, holder, is_connected } if is_there(&state.router, value) => {
                    let holder = self.place_in_words(holder);
                    let key = value.number();
                    self.tell_owner(
                        state,
                        value.owner,
                        CoordinatorWord::Holder { key, holder, is_connected },
                    );
                }
                // It was told of a life that is over.
                _ => {}
            }
        }
        for (owner, values) in unheld {
            self.tell_owner(state, owner, CoordinatorWord::Unheld { values });
        }
    }

    fn tell_owner(&self, state: &mut CoreState, owner: u16, word: CoordinatorWord) {
        if owner == Hop::SCOPE {
            state.scope_words.push(word);
            return self.wake_scope();
        }
        state.router.tell(usize::from(owner), control::seal(&word));
    }

    fn place_in_words(&self, place: u16) -> String {
        self.name_of(Hop { who: place, command: CommandId(0) })
    }

    /// As the scope's thread, between handlers: what was said of values of this process, and those that nobody can reach.
    pub(super) fn settle_scope_values(&self, words: Vec<CoordinatorWord>) {
        for other in words.into_iter().filter_map(|word| remote_methods::heed(&self.values, word)) {
            log::error!("the scope was told {other:?}, which is not about its values");
        }
        remote_methods::drop_unreachable(&self.values);
    }

    pub(super) fn scope_values(&self) -> &Arc<Estate> {
        &self.values
    }
}

impl MainLoop {
    /// Values that this process holds no longer are given back, and those that nobody can reach dropped by the scope's thread.
    pub(super) fn settle_values(&self) {
        if self.core.scope_values().has_releases() {
            let released = self.core.scope_values().take_releases();
            self.core.with_router(|router| router.release(Hop::SCOPE, &released));
        }
        if self.core.scope_values().has_discarded() {
            self.core.wake_scope_for_values();
        }
    }
}

/// Whether the life goes on that had the value.
fn is_there(router: &Router, value: HandleId) -> bool {
    let place = router.place_at(value.owner);
    place.is_some_and(|index| router.station(index).generation == value.generation)
}

/// What a manager holds no longer.
pub(super) fn released(values: Vec<ReleasedValue>) -> Vec<(HandleId, u64)> {
    let one = |it: ReleasedValue| {
        let generation = Generation(it.generation);
        (HandleId { owner: it.owner, generation, key: it.key }, it.count)
    };
    values.into_iter().map(one).collect()
}
