//! From names to addresses.
//!
//! Owns [`resolve`], which every `connect` and `bind` by address goes through. The standard library's
//! `ToSocketAddrs` asks the resolver on the calling thread, which would hold up a worker's other tasks.
//! So the types that can carry a name are recognised, and their names go to `llam_getaddrinfo_result`
//! (`abi.md` 4.17), which parks the task. Other types are asked as they are; those of the standard
//! library answer from memory.

use std::any::TypeId;
use std::ffi::{CStr, CString};
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use crate::sys;

/// The addresses to try, in order; at least one.
pub(super) fn resolve<A: ToSocketAddrs>(address: A) -> io::Result<Vec<SocketAddr>> {
    let addresses = match as_name(&address) {
        Some(name) => name.look_up()?,
        None => address.to_socket_addrs()?.collect(),
    };
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no address to use",
        ));
    }
    Ok(addresses)
}

/// Calls `f` with each address until one succeeds; the last error otherwise.
pub(super) fn first_success<A: ToSocketAddrs, T>(
    address: A,
    mut f: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in resolve(address)? {
        match f(address) {
            Ok(value) => return Ok(value),
            Err(error) if ends_the_search(&error) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL)))
}

/// Whether the caller, not the address, is what failed.
fn ends_the_search(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECANCELED | libc::EMFILE | libc::ENFILE)
    )
}

/// A value that the standard library would hand to the resolver.
enum Name<'a> {
    /// `host:port`.
    Text(&'a str),
    Pair(&'a str, u16),
}

/// The identity of a type apart from its lifetimes.
fn erased_id<T: ?Sized>() -> TypeId {
    trait Erased {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T: ?Sized> Erased for PhantomData<T> {
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let marker = PhantomData::<T>;
    let erased: &dyn Erased = &marker;
    // SAFETY: only the lifetime bound changes; the method reads nothing, and `marker` outlives the
    // call.
    let erased: &(dyn Erased + 'static) =
        unsafe { std::mem::transmute::<&dyn Erased, &(dyn Erased + 'static)>(erased) };
    erased.id()
}

/// `value` as a `&To`, if `T` is `To` but for lifetimes.
///
/// # Safety
///
/// `To` has all its lifetimes replaced by ones that do not outlive the borrow, or none.
unsafe fn as_type<T, To>(value: &T) -> Option<&To> {
    if erased_id::<T>() == erased_id::<To>() {
        // SAFETY: the same type but for lifetimes, which the caller answers for.
        Some(unsafe { &*ptr::from_ref(value).cast::<To>() })
    } else {
        None
    }
}

/// Recognises the standard library's types that carry a name.
fn as_name<A>(address: &A) -> Option<Name<'_>> {
    // SAFETY (of each call): every lifetime inside the target is inferred to be that of the borrow of
    // `address`, because the result is returned with it; what `A` borrows lives at least as long.
    macro_rules! try_type {
        ($type:ty, $found:pat => $name:expr) => {
            // SAFETY: as above.
            if let Some($found) = unsafe { as_type::<A, $type>(address) } {
                return Some($name);
            }
        };
    }
    try_type!(&str, text => Name::Text(text));
    try_type!(&&str, text => Name::Text(text));
    try_type!(String, text => Name::Text(text));
    try_type!(&String, text => Name::Text(text));
    try_type!((&str, u16), (host, port) => Name::Pair(host, *port));
    try_type!(&(&str, u16), (host, port) => Name::Pair(host, *port));
    try_type!((String, u16), (host, port) => Name::Pair(host, *port));
    try_type!(&(String, u16), (host, port) => Name::Pair(host, *port));
    None
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl Name<'_> {
    fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = match *self {
            Name::Pair(host, port) => (host, port),
            Name::Text(text) => {
                if let Ok(address) = text.parse() {
                    return Ok(vec![address]);
                }
                let (host, port) = text
                    .rsplit_once(':')
                    .ok_or_else(|| invalid("invalid socket address"))?;
                let port = port.parse().map_err(|_| invalid("invalid port value"))?;
                (host, port)
            }
        };
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        look_up(host, port)
    }
}

/// The resolver's list, freed on drop.
struct List(*mut libc::addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the engine made the list for this owner; null is allowed.
        unsafe { sys::llam_freeaddrinfo_result(self.0) }
    }
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = CString::new(host).map_err(|_| invalid("the host name contains a NUL"))?;
    crate::time::check_scope()?;
    // SAFETY: all-zero is the documented start of hints.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = List(ptr::null_mut());
    let mut verdict = 0;
    // SAFETY: name and hints outlive the call, which returns after the resolver has; outputs are
    // locals.
    let status = unsafe {
        sys::llam_getaddrinfo_result(
            host.as_ptr(),
            ptr::null(),
            &raw const hints,
            &raw mut list.0,
            &raw mut verdict,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    if verdict != 0 {
        return Err(resolver_error(verdict));
    }
    let mut addresses = Vec::new();
    let mut next = list.0;
    while !next.is_null() {
        // SAFETY: `next` is an entry of the list, which lives until the end of this function.
        let entry = unsafe { &*next };
        addresses.extend(entry_address(entry, port));
        next = entry.ai_next;
    }
    Ok(addresses)
}

/// The entry's address with the port; `None` for other families.
fn entry_address(entry: &libc::addrinfo, port: u16) -> Option<SocketAddr> {
    let mut storage = SockAddrStorage::zeroed();
    let length = entry.ai_addrlen;
    if entry.ai_addr.is_null() || length as usize > size_of::<SockAddrStorage>() {
        return None;
    }
    // SAFETY: the entry says that `length` bytes are there, and they fit.
    unsafe {
        ptr::copy_nonoverlapping(
            entry.ai_addr.cast::<u8>(),
            (&raw mut storage).cast::<u8>(),
            length as usize,
        );
    }
    // SAFETY: the first `length` bytes are an address of its family, by the resolver.
    let address = unsafe { SockAddr::new(storage, length) };
    let mut address = address.as_socket()?;
    address.set_port(port);
    Some(address)
}

fn resolver_error(verdict: i32) -> io::Error {
    if verdict == libc::EAI_SYSTEM {
        return io::Error::last_os_error();
    }
    // SAFETY: returns a static string for every number.
    let detail = unsafe { CStr::from_ptr(libc::gai_strerror(verdict)) };
    io::Error::other(format!(
        "failed to lookup address information: {}",
        detail.to_string_lossy()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn kind<A>(address: &A) -> Option<(String, Option<u16>)> {
        as_name(address).map(|name| match name {
            Name::Text(text) => (text.to_owned(), None),
            Name::Pair(host, port) => (host.to_owned(), Some(port)),
        })
    }

    #[test]
    fn names_are_recognised_whatever_carries_them() {
        let text = String::from("example.org:80");
        let wanted = Some(("example.org:80".to_owned(), None));
        assert_eq!(kind(&text.as_str()), wanted);
        assert_eq!(kind(&&text.as_str()), wanted);
        assert_eq!(kind(&&text), wanted);
        assert_eq!(kind(&text), wanted);
        let host = String::from("example.org");
        let wanted = Some(("example.org".to_owned(), Some(80)));
        assert_eq!(kind(&(host.as_str(), 80_u16)), wanted);
        assert_eq!(kind(&&(host.as_str(), 80_u16)), wanted);
        assert_eq!(kind(&(host, 80_u16)), wanted);
    }

    #[test]
    fn addresses_are_left_to_the_standard_library() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        assert!(as_name(&address).is_none());
        assert!(as_name(&(Ipv4Addr::LOCALHOST, 80_u16)).is_none());
        assert!(as_name(&[address][..].as_ref()).is_none());
        assert_eq!(resolve(&[address][..]).unwrap(), [address]);
    }

    #[test]
    fn literal_addresses_need_no_resolver() {
        let wanted = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7);
        assert_eq!(resolve("127.0.0.1:7").unwrap(), [wanted]);
        assert_eq!(resolve(("127.0.0.1", 7)).unwrap(), [wanted]);
        assert_eq!(resolve("[::1]:7").unwrap().len(), 1);
    }

    #[test]
    fn malformed_text_is_invalid_input() {
        for text in ["", "nothing", "host:port", "host:70000"] {
            let error = resolve(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }
}
