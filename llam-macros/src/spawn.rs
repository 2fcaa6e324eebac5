//! `spawn!` and `try_spawn!`: options, then a block.
//!
//! Owns the grammar
//!
//! ```text
//!   [class = e,] [stack = e,] [cancel = e,] [move] { body } [,]
//! ```
//!
//! with the options in any order, each at most once. Called by the two function-like macros.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Block, Error, Expr, Ident, Result, Token};

/// One call, parsed.
pub(crate) struct Spawn {
    krate: TokenTree,
    class: Option<Expr>,
    stack: Option<Expr>,
    cancel: Option<Expr>,
    is_move: Option<Token![move]>,
    body: Block,
}

impl Parse for Spawn {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let krate = input.parse()?;
        let (mut class, mut stack, mut cancel) = (None, None, None);
        while input.peek(Ident) && input.peek2(Token![=]) {
            let key: Ident = input.parse()?;
            let slot = if key == "class" {
                &mut class
            } else if key == "stack" {
                &mut stack
            } else if key == "cancel" {
                &mut cancel
            } else {
                return Err(Error::new(
                    key.span(),
                    format!("unknown option `{key}`, expected `class`, `stack` or `cancel`"),
                ));
            };
            if slot.is_some() {
                return Err(Error::new(key.span(), format!("duplicate option `{key}`")));
            }
            input.parse::<Token![=]>()?;
            *slot = Some(input.parse()?);
            input.parse::<Token![,]>()?;
        }
        let is_move = input.parse()?;
        if !input.peek(syn::token::Brace) {
            return Err(input.error("expected the task's body: `{ .. }` or `move { .. }`"));
        }
        let body = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("nothing may follow the task's body"));
        }
        Ok(Self {
            krate,
            class,
            stack,
            cancel,
            is_move,
            body,
        })
    }
}

impl Spawn {
    /// The spawn call; `fallible` selects the form that returns a `Result`.
    pub(crate) fn expand(&self, fallible: bool) -> TokenStream {
        let Self {
            krate,
            class,
            stack,
            cancel,
            is_move,
            body,
        } = self;
        let class = class.iter();
        let stack = stack.iter();
        let cancel = cancel.iter();
        let function = if fallible {
            quote!(try_spawn_with)
        } else {
            quote!(spawn_with)
        };
        quote! {
            #krate::task::#function(
                #krate::task::SpawnOptions::new()
                    #(.class(#class))*
                    #(.stack(#stack))*
                    #(.cancel(#krate::cancel::CancelToken::clone(&(#cancel))))*,
                #is_move || #body,
            )
        }
    }
}
