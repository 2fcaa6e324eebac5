//! Tasks that may borrow, because they end before the frame they borrow from.
//!
//! Owns the entry points; `scope` keeps the children, `nursery` adds a token. The promise, whatever
//! happens to the parent (a panic, a cancel, a timeout, a stop): the call neither returns nor unwinds
//! before every child has ended.
//!
//! ```text
//!   scope(|s| ..)     children, joined at the end; a child's panic goes on in the parent
//!   try_scope(..)     the same, a child's panic is an error
//!   nursery(|n| ..)   children share a token; an error or a panic cancels the others
//! ```

mod nursery;
mod scope;

pub use nursery::{Nursery, nursery};
pub use scope::{Scope, ScopedJoinHandle, scope, try_scope};
