//! The names a program of this crate uses most: `use llam::prelude::*;`.

pub use crate::cancel::{CancelScope, CancelToken};
pub use crate::channel::{Receiver, Select, Sender, bounded};
pub use crate::error::{Error, Result};
pub use crate::runtime::{Profile, Runtime, RuntimeBuilder, RuntimeHandle};
pub use crate::structured::{Nursery, Scope, ScopedJoinHandle, nursery, scope, try_scope};
pub use crate::sync::{Condvar, Mutex};
pub use crate::task::{
    JoinError, JoinHandle, SpawnOptions, StackClass, TaskBatch, TaskClass, TaskGroup,
};
pub use crate::task_local::TaskLocalKey;
pub use crate::{blocking, channel, fs, io, net, sync, task, time};
pub use crate::{select, spawn, try_select, try_spawn};
