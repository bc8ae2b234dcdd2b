//! One transaction for all tasks, and the stores that follow it.

use super::Shard;
use crate::clock::Tick;
use crate::control::Meta;
use crate::log::{CHANGELOG, Log, Target};
use crate::planted::{Bug, is_planted, is_planted_from};
use crate::processor::{Outgoing, Processor};
use crate::task::Task;
use crate::{Error, Verdict};

impl<L: Log, P: Processor> Shard<'_, L, P> {
    /// Moves decided records into the transaction, so that the brokers take them while we go on.
    pub(super) fn publish_ready(&mut self) -> Result<(), Error> {
        let log = &mut self.log;
        self.out.drain(|record| publish(log, record))
    }

    pub(super) fn commit_if_due(&mut self, is_idle: bool) -> Result<(), Error> {
        let config = self.around.config;
        if let Some(since) = self.open_since {
            let rows: usize = self.tasks.values().map(Task::dirty_len).sum();
            let is_full = self.open_records.max(rows) >= config.commit_records;
            if !is_idle && !is_full && since.elapsed() < config.commit_age {
                return Ok(());
            }
            self.commit()?;
        }
        self.report();
        self.let_go()?;
        self.save_if_due()
    }

    /// The stores follow, and rows leave the memory, as far as their number asks for it. Only where nothing is uncommitted: no
    /// round holds rows that it still needs.
    fn let_go(&mut self) -> Result<(), Error> {
        let config = self.around.config;
        let share = |rows: usize| rows / self.tasks.len().max(1);
        let (cached, waiting) = (share(config.cache_rows), share(config.unwritten_rows.min(config.cache_rows / 2)));
        let mut may_save = true;
        for task in self.tasks.values_mut() {
            // One checkpoint in each turn, since the thread waits for the disk then.
            may_save &= !task.write_back(&self.processor, waiting, may_save)?;
            task.shrink_to(cached);
        }
        Ok(())
    }

    /// One transaction for all tasks; then the stores follow.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        if self.tasks.values().all(Task::is_unchanged) && self.out.is_empty() {
            (self.open_since, self.open_records) = (None, 0);
            return Ok(());
        }
        let started = Tick::now();
        let meta = Meta {
            input: self.around.input.to_owned(),
            reference: self.reference,
            generation: self.log.generation(),
            owner: self.around.owner.clone(),
            code: self.around.config.code_version.clone(),
            ..Meta::default()
        };
        let (mut positions, mut fences) = (Vec::new(), Vec::new());
        for task in self.tasks.values_mut().filter(|task| !task.is_unchanged()) {
            // A position of a partition that has no META at all would tell the next owner that its changelog was lost.
            if task.has_meta() {
                fences.push((task.partition, task.next));
            }
            task.end_round();
            if is_planted(Bug::MetaFirst) {
                task.produce_meta(&mut self.log, meta.clone())?;
            }
            task.produce_rows(&self.processor, &mut self.log)?;
            positions.push((task.partition, task.next));
        }
        let log = &mut self.log;
        let copies = 1 + usize::from(is_planted_from(Bug::TornSentTwice, || self.tasks.values().any(Task::has_torn)));
        self.out.drain_all(|record| (0..copies).try_for_each(|_| publish(log, record)))?;
        // META says that all of it is there, so it comes last, and where there is a danger not before the brokers have the rest and the group
        // has let the positions in: should the transaction be torn after all, what is decided twice has the same ids, but nothing is
        // lost, and no META of a fenced owner stands behind the BARRIER of a newer one.
        if !is_planted(Bug::MetaUnsettled) {
            self.log.settle(&fences)?;
        }
        for task in self.tasks.values_mut().filter(|task| !task.is_unchanged()) {
            if !is_planted(Bug::MetaFirst) {
                task.produce_meta(&mut self.log, meta.clone())?;
            }
        }
        if is_planted(Bug::StoreBeforeCommit) {
            for task in self.tasks.values_mut() {
                task.after_commit(&self.processor);
                task.write_all(&self.processor)?;
            }
        }
        self.log.commit(&positions)?;
        self.around.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        self.tell_age();
        self.around.metrics.consumed.inc_by(u64::try_from(self.open_records).unwrap_or(0));
        for task in self.tasks.values_mut().filter(|task| !task.is_unchanged()) {
            task.after_commit(&self.processor);
        }
        (self.open_since, self.open_records) = (None, 0);
        Ok(())
    }

    fn save_if_due(&mut self) -> Result<(), Error> {
        if self.saved.elapsed() < self.around.config.save_age || self.tasks.values().any(Task::is_saving) {
            return Ok(());
        }
        self.begin_save()
    }

    /// Makes the stores survive a crash: bounds the tail that a restart replays. The commit in between proves that whatever
    /// stands before the ends is ours: a process that stood still for long may have been replaced without knowing it.
    fn begin_save(&mut self) -> Result<(), Error> {
        self.saved = Tick::now();
        let unsaved: Vec<i32> =
            self.tasks.values().filter(|task| task.is_unsaved()).map(|task| task.partition).collect();
        if unsaved.is_empty() {
            return Ok(());
        }
        let ends = match self.log.ends(CHANGELOG, &unsaved) {
            // Another time.
            Err(error) if error.verdict() == Verdict::Retry => return Ok(()),
            ends => ends?,
        };
        for (partition, _) in &ends {
            self.task(*partition).into_iter().for_each(Task::demand_proof);
        }
        self.commit()?;
        for (partition, end) in ends {
            self.task(partition).into_iter().for_each(|task| task.begin_save(end));
        }
        Ok(())
    }

    /// The same, at once and to its end.
    pub(super) fn save(&mut self) -> Result<(), Error> {
        self.begin_save()?;
        let processor = &self.processor;
        self.tasks.values_mut().filter(|task| task.is_saving()).try_for_each(|task| task.write_all(processor))
    }
}

fn publish<L: Log>(log: &mut L, record: &Outgoing<'_>) -> Result<(), Error> {
    log.produce(Target::Output(record.topic, record.partition), record.key, Some(record.value), record.headers)
}
