//! Which station a command is for, and what things are called.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Caller, Route, Router, Station};
use crate::remote::{is_about_deeds, orders};
use crate::wire::{CommandId, CommandSpec, DeliveryKind, Header, ManagerName, Refusal, Target};

impl Router {
    /// The one station that is to handle a direct or scope command.
    pub(super) fn station_for(&self, caller: Caller, header: &Header) -> Result<usize, Refusal> {
        let command = || self.command_name(header.command);
        if header.command == self.ping.id {
            return self.addressed(header);
        }
        let route = self.routes.get(&header.command);
        let route = route.ok_or_else(|| Refusal::UnknownCommand { command: command() })?;
        match (&header.target, route.stations.as_slice()) {
            _ if route.delivery == DeliveryKind::Value => self.owner_for(caller, header),
            (Target::Named(_), serving) => match self.addressed(header)? {
                index if self.members_of(index).any(|member| serving.binary_search(&member).is_ok()) => {
                    Ok(index)
                }
                index => Err(Refusal::NotServed {
                    manager: self.stations[index].name.clone(),
                    command: command(),
                    candidates: self.names(serving),
                }),
            },
            (Target::Route, [one]) => Ok(self.stations[*one].pool.unwrap_or(*one)),
            (Target::Route, []) => Err(Refusal::Absent { manager: None, command: command() }),
            (Target::Route, several) => self.common_pool(several).ok_or_else(|| Refusal::AddressNeeded {
                command: command(),
                candidates: self.names(several),
            }),
        }
    }

    /// The pool of which these are all instances.
    fn common_pool(&self, stations: &[usize]) -> Option<usize> {
        let pool = self.stations[*stations.first()?].pool?;
        stations.iter().all(|index| self.stations[*index].pool == Some(pool)).then_some(pool)
    }

    /// A pool's instances; any other station by itself.
    fn members_of(&self, index: usize) -> impl Iterator<Item = usize> {
        let members = &self.stations[index].members;
        members.iter().copied().chain(members.is_empty().then_some(index))
    }

    fn addressed(&self, header: &Header) -> Result<usize, Refusal> {
        let absent = |manager| Refusal::Absent { manager, command: self.command_name(header.command) };
        let Target::Named(name) = &header.target else { return Err(absent(None)) };
        let found = self.places.get(name.as_str()).copied();
        found.ok_or_else(|| absent(Some(name.clone())))
    }

    /// The names of stations; of instances, that of their pool.
    fn names(&self, stations: &[usize]) -> Vec<ManagerName> {
        let mut of: Vec<usize> = stations.iter().map(|at| self.stations[*at].pool.unwrap_or(*at)).collect();
        of.dedup();
        of.into_iter().map(|index| self.stations[index].name.clone()).collect()
    }

    pub(super) fn command_name(&self, command: CommandId) -> String {
        command_name(&self.routes, self.ping, command)
    }

    /// Where a command was to go, in words, whether or not there is such a place.
    pub(super) fn goal(&self, header: &Header) -> String {
        let serving = self.routes.get(&header.command).map_or(&[][..], |route| &route.stations);
        match (&header.target, serving) {
            (Target::Named(name), _) => name.clone(),
            (Target::Route, []) => "nobody".to_owned(),
            (Target::Route, several) => {
                let names: Vec<_> = self.names(several).iter().map(ToString::to_string).collect();
                names.join(" or ")
            }
        }
    }

    /// The stations that a broadcast reaches: those that serve it and hear its sender.
    pub(super) fn listeners(&self, command: CommandId, sender: &Station) -> Vec<usize> {
        let Some(route) = self.routes.get(&command) else { return Vec::new() };
        let hears = |index: &usize| {
            is_about_deeds(command) || self.stations[*index].hears(&route.name, sender.name.as_str())
        };
        route.stations.iter().copied().filter(hears).collect()
    }
}

/// What a command is called; one that nobody knows, by its fingerprint.
pub(super) fn command_name(
    routes: &HashMap<CommandId, Route, RandomState>,
    ping: &CommandSpec,
    command: CommandId,
) -> String {
    let route = routes.get(&command).map(|route| &route.name);
    let own = || (command == ping.id).then_some(&ping.name);
    let order = || orders::order(command).map(|order| &order.name);
    route.or_else(own).or_else(order).cloned().unwrap_or_else(|| command.to_string())
}
