//! `#[llam::main]` and `#[llam::test]`: one function in, one function out.
//!
//! Owns the checks of the signature and of the arguments. The body moves into an inner function, so
//! that its own `return` and `?` keep their meaning. Called by the two attribute macros.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, ItemFn, Lit, LitStr, Result, Token};

/// Which of the two attributes is expanded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "#[llam::main]",
            Self::Test => "#[llam::test]",
        }
    }
}

/// The arguments of the attribute: at most `profile = ..`.
struct Arguments {
    profile: Option<Expr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut profile = None;
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if key != "profile" {
                return Err(Error::new(
                    key.span(),
                    format!("unknown argument `{key}`, expected `profile`"),
                ));
            }
            if profile.is_some() {
                return Err(Error::new(key.span(), "duplicate argument `profile`"));
            }
            input.parse::<Token![=]>()?;
            profile = Some(input.parse::<Expr>()?);
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        Ok(Self { profile })
    }
}

/// The expression of the profile: a named one for a string, else what was written.
fn profile_tokens(profile: Option<&Expr>) -> Result<TokenStream> {
    match profile {
        None => Ok(quote!(::llam::Profile::Balanced)),
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        })) => named_profile(name),
        Some(other) => Ok(other.to_token_stream()),
    }
}

fn named_profile(name: &LitStr) -> Result<TokenStream> {
    let variant = match name.value().as_str() {
        "balanced" | "Balanced" => quote!(Balanced),
        "release_fast" | "release-fast" | "ReleaseFast" => quote!(ReleaseFast),
        "debug_safe" | "debug-safe" | "DebugSafe" => quote!(DebugSafe),
        "io_latency" | "io-latency" | "IoLatency" => quote!(IoLatency),
        other => {
            return Err(Error::new(
                name.span(),
                format!(
                    "unknown profile `{other}`, expected `balanced`, `release_fast`, `debug_safe` \
                     or `io_latency`"
                ),
            ));
        }
    };
    Ok(quote!(::llam::Profile::#variant))
}

/// Refuses every signature but a plain `fn name()`, at the token that is too much.
fn check_signature(function: &ItemFn, kind: Kind) -> Result<()> {
    let signature = &function.sig;
    let refuse = |span, what: &str| {
        let name = kind.name();
        Err(Error::new(span, format!("{name} takes {what}")))
    };
    if let Some(token) = &signature.asyncness {
        return refuse(
            token.span(),
            "a plain function: tasks block without `async`",
        );
    }
    if let Some(token) = &signature.constness {
        return refuse(token.span(), "a function that is not `const`");
    }
    if let Some(token) = &signature.unsafety {
        return refuse(token.span(), "a function that is not `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        return refuse(abi.span(), "a function without an `extern` ABI");
    }
    if !signature.generics.params.is_empty() {
        return refuse(
            signature.generics.params.span(),
            "a function without generics",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        return refuse(clause.span(), "a function without a where clause");
    }
    if !signature.inputs.is_empty() {
        return refuse(signature.inputs.span(), "a function without parameters");
    }
    if let Some(variadic) = &signature.variadic {
        return refuse(variadic.span(), "a function without parameters");
    }
    Ok(())
}

/// The expansion of either attribute, or its error. A refused `main` leaves an empty one behind, so
/// that the compiler does not complain of a missing one besides.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream, kind: Kind) -> TokenStream {
    let function: ItemFn = match syn::parse2(item) {
        Ok(function) => function,
        Err(error) => return error.into_compile_error(),
    };
    try_expand(arguments, &function, kind).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        if kind == Kind::Main && function.sig.ident == "main" {
            quote!(#error fn main() {})
        } else {
            error
        }
    })
}

fn try_expand(arguments: TokenStream, function: &ItemFn, kind: Kind) -> Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    check_signature(function, kind)?;
    let profile = profile_tokens(arguments.profile.as_ref())?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    let name = &sig.ident;
    let output = &sig.output;
    let output_span = match output {
        syn::ReturnType::Default => name.span(),
        syn::ReturnType::Type(_, ty) => ty.span(),
    };
    Ok(match kind {
        Kind::Main => {
            let call = quote_spanned!(output_span=> ::llam::__private::main(#profile, __llam_body));
            quote! {
                #(#attrs)*
                #vis fn #name() -> ::std::process::ExitCode {
                    fn __llam_body() #output #block
                    #call
                }
            }
        }
        Kind::Test => {
            let call = quote_spanned!(output_span=> ::llam::__private::test(#profile, __llam_body));
            quote! {
                #[::core::prelude::v1::test]
                #(#attrs)*
                #vis fn #name() {
                    fn __llam_body() #output #block
                    #call
                }
            }
        }
    })
}
