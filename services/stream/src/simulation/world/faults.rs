//! What goes wrong: processes die, stand still and are replaced; brokers go away; requests and answers get lost or come late.

use std::cell::Cell;

use super::{LAG_MAX, SESSION_TIMEOUT, World};
use crate::Error;
use crate::clock::Millis;
use crate::simulation::cluster::{Draft, Late, Producer, Request};
use crate::simulation::disk::Machine;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    /// It is lost, and given up.
    Lost,
    /// It arrives, but the answer is lost, and it is given up.
    Unanswered,
    /// It is given up, and arrives after so long all the same.
    UnderWay(Millis),
    /// It arrives after so long.
    Late(Millis),
    /// It arrives, and the answer comes after so long.
    AnsweredLate(Millis),
}

impl World<'_> {
    /// A place where a process may die, or stand still while the world goes on.
    pub fn step(&self, who: usize, machine: &Machine, silent: &Cell<bool>, what: &'static str) -> Result<(), Error> {
        let dead = || Error::stop("go on", "the process is dead");
        if machine.is_dead() {
            return Err(dead());
        }
        let is_common = ["fetch", "membership", "produce"].contains(&what);
        if !is_common && what != "ends" {
            self.note(|| format!("replica {who}: {what}"));
        }
        // A call may take a while, in which others act.
        if self.happens(15) {
            self.wait(self.span(1, 60));
        }
        // Few calls end a transaction or take a partition over, and these are the places that matter.
        if self.fault(if is_common { 3 } else { 20 }) {
            match self.random(3) {
                0 => {
                    *self.deaths.borrow_mut().entry(what).or_default() += 1;
                    self.happened("killed", || format!("replica {who} is killed before: {what}"));
                    machine.kill();
                }
                1 => {
                    let write = self.chance.borrow_mut().u32(..6);
                    self.happened("killed at a write", || {
                        format!("replica {who} will be killed at its {write}th write from: {what}")
                    });
                    machine.kill_at_write(write);
                }
                _ => {
                    let span = self.span(100, 4 * SESSION_TIMEOUT);
                    self.happened("stood still", || format!("replica {who} stands still for {span} ms before: {what}"));
                    silent.set(true);
                    if self.depth.get() == 1 && self.happens(300) {
                        self.replace(who);
                    }
                    self.wait(span);
                    silent.set(false);
                    self.note(|| format!("replica {who} goes on"));
                }
            }
        }
        if machine.is_dead() { Err(dead()) } else { Ok(()) }
    }

    /// What goes wrong with a request or its answer, if anything; so many times of a thousand.
    pub fn mishap(&self, what: &str, per_mille: u32) -> Option<Mishap> {
        if !self.fault(per_mille) {
            return None;
        }
        let span = self.span(1, 3_000);
        let mishap =
            [Mishap::Lost, Mishap::Unanswered, Mishap::UnderWay(span), Mishap::Late(span), Mishap::AnsweredLate(span)];
        let mishap = mishap[self.random(mishap.len())];
        self.happened("request went wrong", || format!("this goes wrong, {mishap:?}: {what}"));
        Some(mishap)
    }

    /// A request whose sender has given it up arrives after a while.
    pub fn send_later(&self, span: Millis, producer: &Producer, draft: &Draft, request: Request) {
        let mut cluster = self.cluster.borrow_mut();
        let at = cluster.now + span;
        cluster.send_later(Late { at, producer: producer.clone(), draft: draft.clone(), request });
    }

    /// The client may have sent a commit twice; then the first one is still under way.
    pub fn may_repeat_the_commit(&self, producer: &Producer, draft: &Draft) {
        let left = self.repeats.get();
        if left > 0 && self.happens(400) {
            self.repeats.set(left - 1);
            self.note(|| format!("a commit of {} will arrive once more", producer.name));
            self.send_later(self.span(1, 4_000), producer, draft, Request::Commit { again: true });
        }
    }

    /// Whether the end of a transaction may come twice here.
    pub fn may_tear(&self) -> bool {
        self.scene.tears
    }

    /// That is when it may arrive: between two records of the next transaction.
    pub fn may_commit_early(&self, producer: &Producer) {
        if self.scene.tears && self.happens(300) {
            self.cluster.borrow_mut().commit_arrives(producer);
        }
    }

    /// Everybody may lose power: all processes die, and the brokers lose the last commits of some changelogs, though they have
    /// confirmed them. Somebody who lives on with what is lost cannot know; so nobody does, nor a process that stands still.
    pub fn may_lose_power(&self) {
        if !self.fault(1) {
            return;
        }
        self.note(|| "all processes are killed".to_owned());
        self.hardware.iter().for_each(Machine::kill);
        for partition in 0..self.scene.partitions {
            if self.happens(400) && self.cluster.borrow_mut().lose_tail(partition) {
                self.happened("commit lost", || format!("the last commit of changelog {partition} is lost"));
            }
        }
    }

    /// A broker may go away for a while.
    pub fn may_restart_a_broker(&self) {
        if self.fault(2) {
            let (broker, span) = (self.random(3), self.span(200, 2 * SESSION_TIMEOUT));
            self.happened("broker away", || format!("broker {broker} is away for {span} ms"));
            let mut cluster = self.cluster.borrow_mut();
            let until = cluster.now + span;
            cluster.restart(broker, until);
        }
    }

    /// The clock of a replica is set back, or right again.
    pub(super) fn set_back(&self, who: usize) {
        let behind = if self.happens(300) { 0 } else { self.span(1, LAG_MAX) };
        self.happened("clock set back", || format!("the clock of replica {who} is {behind} ms behind from now on"));
        self.replicas.borrow_mut()[who].behind = behind;
        self.set_clocks();
    }

    /// Another machine starts a process under the identity of one that stands still.
    pub(super) fn replace(&self, who: usize) {
        let Some(machine) = self.spare.borrow_mut().pop() else { return };
        self.happened("replaced", || format!("replica {who} is replaced by a process on another machine"));
        let mut replicas = self.replicas.borrow_mut();
        let replica = &mut replicas[who];
        replica.incarnation += 1;
        replica.is_running = false;
        replica.machine = machine;
        replica.process = None;
    }
}
