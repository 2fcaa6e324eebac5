//! `select!` and `try_select!`: arms in, one select call and one `match` out.
//!
//! Owns the grammar
//!
//! ```text
//!   recv(rx) -> pattern => expr,      send(tx, value) => expr,      closed(rx) => expr,
//!   after(duration) => expr,          default => expr
//! ```
//!
//! where a comma may be left out behind a block, and these rules: `after` and `default` exclude each
//! other and come at most once; `closed(rx)` needs a `recv(rx)` with the same tokens beside it.
//! Invariant: the expansion keeps all its state in locals, so nothing is allocated. Called by the two
//! function-like macros.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Pat, Result, Token, parenthesized};

/// One `recv` or `send` arm, in the order written.
enum Operation {
    Recv {
        channel: Expr,
        pattern: Box<Pat>,
        body: Expr,
        /// The body of the `closed` arm that belongs to it.
        closed: Option<Expr>,
    },
    Send {
        channel: Expr,
        value: Box<Expr>,
        body: Expr,
    },
}

/// What happens when no operation can be done at once.
enum Wait {
    Forever,
    After { duration: Expr, body: Expr },
    Default { body: Expr },
}

/// One call, parsed and checked.
pub(crate) struct Select {
    krate: TokenTree,
    operations: Vec<Operation>,
    wait: Wait,
}

/// Whether the comma behind this expression may be left out, as in a `match`.
fn is_block_like(body: &Expr) -> bool {
    matches!(
        body,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Unsafe(_)
    )
}

/// `=> expr` and the comma behind it.
fn parse_body(input: ParseStream<'_>) -> Result<Expr> {
    input.parse::<Token![=>]>()?;
    let body = if input.peek(syn::token::Brace) {
        // A block ends the arm even if an operator follows, as in a `match`.
        let block: syn::ExprBlock = input.parse()?;
        Expr::Block(block)
    } else {
        input.parse()?
    };
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !input.is_empty() && !is_block_like(&body) {
        return Err(input.error("expected `,` between arms"));
    }
    Ok(body)
}

/// The tokens of an expression as text, to find the `recv` arm of a `closed` arm.
fn text(expression: &Expr) -> String {
    expression.to_token_stream().to_string()
}

impl Select {
    fn set_wait(&mut self, span: Span, wait: Wait) -> Result<()> {
        let message = match (&self.wait, &wait) {
            (Wait::Forever, _) => {
                self.wait = wait;
                return Ok(());
            }
            (Wait::After { .. }, Wait::After { .. }) => "duplicate `after` arm",
            (Wait::Default { .. }, Wait::Default { .. }) => "duplicate `default` arm",
            _ => "`after` and `default` exclude each other",
        };
        Err(Error::new(span, message))
    }

    /// Parses one arm; a `closed` one is returned.
    fn parse_arm(&mut self, input: ParseStream<'_>) -> Result<Option<(Ident, Expr, Expr)>> {
        let keyword: Ident = input.parse()?;
        if keyword == "default" {
            let body = parse_body(input)?;
            self.set_wait(keyword.span(), Wait::Default { body })?;
            return Ok(None);
        }
        let is_known = ["recv", "send", "closed", "after"]
            .iter()
            .any(|name| keyword == name);
        if !is_known {
            return Err(Error::new(
                keyword.span(),
                format!(
                    "unknown arm `{keyword}`, expected `recv`, `send`, `closed`, `after` or `default`"
                ),
            ));
        }
        let inner;
        parenthesized!(inner in input);
        let argument: Expr = inner.parse()?;
        let value = if keyword == "send" {
            inner.parse::<Token![,]>()?;
            Some(Box::new(inner.parse()?))
        } else {
            None
        };
        inner.parse::<Option<Token![,]>>()?;
        end_of(&inner)?;
        if let Some(value) = value {
            let body = parse_body(input)?;
            self.operations.push(Operation::Send {
                channel: argument,
                value,
                body,
            });
        } else if keyword == "recv" {
            input.parse::<Token![->]>()?;
            let pattern = Box::new(Pat::parse_single(input)?);
            let body = parse_body(input)?;
            self.operations.push(Operation::Recv {
                channel: argument,
                pattern,
                body,
                closed: None,
            });
        } else if keyword == "after" {
            let body = parse_body(input)?;
            let duration = argument;
            self.set_wait(keyword.span(), Wait::After { duration, body })?;
        } else {
            return Ok(Some((keyword, argument, parse_body(input)?)));
        }
        Ok(None)
    }

    fn add_closed(&mut self, keyword: &Ident, channel: &Expr, body: Expr) -> Result<()> {
        let wanted = text(channel);
        let arm = self
            .operations
            .iter_mut()
            .find_map(|operation| match operation {
                Operation::Recv {
                    channel, closed, ..
                } if text(channel) == wanted => Some(closed),
                _ => None,
            });
        match arm {
            None => Err(Error::new(
                keyword.span(),
                format!("`closed({wanted})` needs a `recv({wanted})` arm beside it"),
            )),
            Some(Some(_)) => Err(Error::new(
                keyword.span(),
                format!("duplicate `closed({wanted})` arm"),
            )),
            Some(slot) => {
                *slot = Some(body);
                Ok(())
            }
        }
    }
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut select = Self {
            krate: input.parse()?,
            operations: Vec::new(),
            wait: Wait::Forever,
        };
        if input.is_empty() {
            return Err(input.error("select needs at least one arm"));
        }
        // `closed` may stand before its `recv`, so these are settled last.
        let mut closed = Vec::new();
        while !input.is_empty() {
            closed.extend(select.parse_arm(input)?);
        }
        for (keyword, channel, body) in closed {
            select.add_closed(&keyword, &channel, body)?;
        }
        Ok(select)
    }
}

fn end_of(inner: ParseStream<'_>) -> Result<()> {
    if inner.is_empty() {
        Ok(())
    } else {
        Err(inner.error("unexpected token"))
    }
}

impl Select {
    /// How long to wait, and the `match` arm for the end of the wait.
    fn wait_tokens(
        &self,
        private: &TokenStream,
        arms: &[Ident],
        fallible: bool,
    ) -> (TokenStream, TokenStream) {
        let (wait, body) = match &self.wait {
            Wait::Forever => return (quote!(#private::Wait::Forever), TokenStream::new()),
            Wait::After { duration, body } => (quote!(#private::Wait::After(#duration)), body),
            Wait::Default { body } => (quote!(#private::Wait::Not), body),
        };
        let body = wrap(body, fallible);
        let arm = quote!(#private::Selected::Waited => { #(::core::mem::drop(#arms);)* #body });
        (wait, arm)
    }

    /// The select block; `fallible` selects the form whose value is a `Result`.
    pub(crate) fn expand(&self, fallible: bool) -> TokenStream {
        let krate = &self.krate;
        let private = quote!(#krate::__private);
        let count = self.operations.len();
        let arms: Vec<Ident> = (0..count).map(|i| local("arm", i)).collect();
        let channels: Vec<Ident> = (0..count).map(|i| local("channel", i)).collect();

        let setup = self.operations.iter().enumerate().map(|(i, operation)| {
            let (arm, channel) = (&arms[i], &channels[i]);
            match operation {
                Operation::Recv { channel: rx, .. } => quote! {
                    let #channel = &(#rx);
                    let mut #arm = #private::recv_arm(#channel);
                },
                Operation::Send {
                    channel: tx, value, ..
                } => quote! {
                    let #channel = &(#tx);
                    let mut #arm = #private::send_arm(#channel, #value);
                },
            }
        });
        let (wait, wait_arm) = self.wait_tokens(&private, &arms, fallible);
        let branches = self
            .operations
            .iter()
            .enumerate()
            .map(|(i, operation)| branch(&private, operation, i, &arms, fallible));
        let on_error = if fallible {
            quote!(::core::result::Result::Err(__llam_error))
        } else {
            quote!(#private::select_failed(__llam_error))
        };
        let select = quote! {
            match #private::select([#(#arms.op()),*], #wait) {
                ::core::result::Result::Ok(__llam_selected) => match __llam_selected {
                    #(#branches)*
                    #wait_arm
                    _ => #private::no_such_arm(),
                },
                ::core::result::Result::Err(__llam_error) => #on_error,
            }
        };
        if fallible {
            // `Ok(return)` and the like would warn at the caller's.
            quote! {{
                #(#setup)*
                #[allow(unreachable_code)]
                let __llam_result = #select;
                __llam_result
            }}
        } else {
            quote! {{
                #(#setup)*
                #select
            }}
        }
    }
}

fn local(name: &str, index: usize) -> Ident {
    format_ident!("__llam_{}{}", name, index, span = Span::mixed_site())
}

fn wrap(body: &Expr, fallible: bool) -> TokenStream {
    if fallible {
        quote!(::core::result::Result::Ok(#body))
    } else {
        body.to_token_stream()
    }
}

/// The `match` arm of operation `index`: first the losers go, then the body runs.
fn branch(
    private: &TokenStream,
    operation: &Operation,
    index: usize,
    arms: &[Ident],
    fallible: bool,
) -> TokenStream {
    let arm = &arms[index];
    let losers = arms
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != index)
        .map(|(_, arm)| arm);
    let run = match operation {
        Operation::Send { body, .. } => {
            let body = wrap(body, fallible);
            quote!(::core::mem::drop(#arm); #body)
        }
        Operation::Recv {
            pattern,
            body,
            closed: None,
            ..
        } => {
            let body = wrap(body, fallible);
            quote!(let #pattern = #arm.take(); #body)
        }
        Operation::Recv {
            pattern,
            body,
            closed: Some(closed),
            ..
        } => {
            let body = wrap(body, fallible);
            let closed = wrap(closed, fallible);
            let result = local("result", index);
            quote! {
                let #result = #arm.take();
                if #private::is_closed(&#result) {
                    #closed
                } else {
                    let #pattern = #result;
                    #body
                }
            }
        }
    };
    quote!(#private::Selected::Arm(#index) => { #(::core::mem::drop(#losers);)* #run })
}
