//! What a crash, a cancelled call or a silent chain left unfinished.

use evidence::UnixSeconds;
use gate::{
    keep::{Journal, JournalStage, StoreError},
    ledger::Ledger,
};

use crate::{body::Body, entry::Entry, exact::Exact, flight::HOUSEKEEPING, refusal::SettleError};

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Calls that never ended: their money is free again.
    pub released: u64,
    /// Executed calls that are settled now.
    pub settled: u64,
    /// Executed calls whose money did not come and will not.
    pub refused: u64,
    /// Executed calls whose settlement is still not seen.
    pub pending: u64,
    /// Rows that somebody in this process holds: their calls are running.
    pub running: u64,
    /// Rows that cannot be read.
    pub damaged: u64,
    /// Final rows whose time was over.
    pub forgotten: u64,
}

impl<J: Journal, L: Ledger> Exact<J, L> {
    /// Brings what is unfinished to its end, as far as the chain allows now: calls that never ended are released, executed
    /// ones settled, sent transactions looked for and sent again. At start, before the first reservation, and every now
    /// and then.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn recover(&self, now: UnixSeconds) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut chain_answers = true;
        for listed in self.journal().unfinished().await? {
            let fingerprint = match Body::of(&listed) {
                Ok(body) if listed.stage != JournalStage::Reserved => body.fingerprint,
                _ => HOUSEKEEPING,
            };
            let Ok(claim) = self.flights().claim(listed.key, fingerprint) else {
                report.running += 1;
                continue;
            };
            // It may have changed since it was listed.
            let done = match self.journal().by_key(listed.key).await? {
                Some(row) => self.bring_to_end(row, &mut chain_answers, &mut report).await,
                None => Ok(()),
            };
            claim.rest();
            done?;
        }
        report.forgotten = self.journal().forget(now).await?;
        Ok(report)
    }

    async fn bring_to_end(
        &self,
        row: gate::keep::JournalRow,
        chain_answers: &mut bool,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let Ok(mut entry) = Entry::of(row) else {
            report.damaged += 1;
            return Ok(());
        };
        match entry.row.stage {
            JournalStage::Reserved => {
                self.write_released(&mut entry).await?;
                report.released += 1;
            }
            JournalStage::Settled | JournalStage::Released => {}
            // A chain that did not answer for the last row is not asked for each of the others.
            _ if !*chain_answers => report.pending += 1,
            JournalStage::Executed | JournalStage::Signed | JournalStage::Sent => {
                match self.finish(&mut entry, 2 * self.config().poll_every).await {
                    Ok(()) => report.settled += 1,
                    Err((SettleError::Refused { .. }, _)) => report.refused += 1,
                    Err((SettleError::Pending { .. }, answers)) => {
                        report.pending += 1;
                        *chain_answers = answers;
                    }
                }
            }
        }
        Ok(())
    }
}
