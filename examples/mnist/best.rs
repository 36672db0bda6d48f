//! The network of the epoch with the lowest loss, which `--keep-best` keeps: in memory, and beside the
//! checkpoints, so that a resumed run finds it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use spikegrad::{
    Engine, Error, Network, Result,
    train::{History, best_epoch},
};

/// The best network so far.
pub struct Best {
    /// The folder of the checkpoints.
    dir: Option<PathBuf>,
    network: Option<Network>,
}

impl Best {
    /// Where a run with this history has come: its best network is read from the folder.
    pub fn find(dir: Option<&Path>, history: &History) -> Result<Best> {
        let mut best = Best {
            dir: dir.map(Path::to_path_buf),
            network: None,
        };
        if let (Some(epoch), Some(path)) = (best_epoch(history), best.path(best_epoch(history))) {
            if !path.exists() {
                return Err(Error::InvalidParameter {
                    name: "--keep-best".into(),
                    value: format!("set, and epoch {} is the best", epoch + 1),
                    expected: format!(
                        "its network in {}, as --keep-best writes it",
                        path.display()
                    ),
                });
            }
            best.network = Some(Network::load(path)?);
        }
        Ok(best)
    }

    /// The file of an epoch.
    fn path(&self, epoch: Option<usize>) -> Option<PathBuf> {
        let name = format!("best-epoch-{}.safetensors", epoch? + 1);
        Some(self.dir.as_ref()?.join(name))
    }

    /// Keeps the network if the last epoch is the best. The file of the best before it stays until the
    /// next one, since the last checkpoint may be older than this epoch.
    pub fn epoch(&mut self, engine: &mut dyn Engine, history: &History) -> Result<()> {
        let last = history.epochs.len().checked_sub(1);
        if last.is_none() || best_epoch(history) != last {
            return Ok(());
        }
        let network = engine.to_network()?;
        if let Some(path) = self.path(last) {
            network.save_safetensors(path)?;
            let mut earlier = history.clone();
            for _ in 0..2 {
                earlier.epochs.truncate(best_epoch(&earlier).unwrap_or(0));
            }
            if let Some(path) = self.path(best_epoch(&earlier)) {
                // It may not be there, and does no harm.
                let _ = fs::remove_file(path);
            }
        }
        self.network = Some(network);
        Ok(())
    }

    /// The network.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }
}
