# Evaluates the R calls that stand in a file of reference effect sizes and compares, or stores, what they give.
#
#   Rscript effects.R ../effects.json            largest relative difference from the stored numbers, call by call
#   Rscript effects.R ../effects_more.json write evaluates all calls and stores yi, vi and the versions used
#
# Calls of functions that are not installed are skipped: those of package meta, and conv.wald in metafor 3.8-1.
# effects.json was filled with metafor 5.0-1 and meta 8.3-0. metafor 3.8-1 gives the same numbers for all its calls
# but the variance of SMDH, which it computes otherwise.

suppressMessages({library(metafor); library(jsonlite)})
if (requireNamespace("meta", quietly = TRUE)) suppressMessages(library(meta))

args <- commandArgs(trailingOnly = TRUE)
golden <- fromJSON(args[1], simplifyVector = FALSE)
number <- function(x) if (is.null(x)) NA_real_ else as.numeric(x)
vectors <- function(columns) as.data.frame(lapply(columns, function(column) vapply(column, number, 0)))
for (name in names(golden$data)) assign(name, vectors(golden$data[[name]]))

# A row whose variance is not a finite number has no effect.
evaluate <- function(call) {
  made <- suppressWarnings(eval(parse(text = call)))
  yi <- as.numeric(if (is.null(made$TE)) made$yi else made$TE)
  vi <- as.numeric(if (is.null(made$seTE)) made$vi else made$seTE^2)
  gone <- !is.finite(vi) | !is.finite(yi)
  yi[gone] <- NA
  vi[gone] <- NA
  list(yi = yi, vi = vi)
}

worst <- 0
for (i in seq_along(golden$cases)) {
  case <- golden$cases[[i]]
  if (!exists(sub("\\(.*", "", case$call))) next
  new <- evaluate(case$call)
  if (length(args) > 1 && args[2] == "write") {
    golden$cases[[i]]$yi <- new$yi
    golden$cases[[i]]$vi <- new$vi
    next
  }
  for (part in c("yi", "vi")) {
    old <- vapply(case[[part]], number, 0)
    gone <- !is.finite(vapply(case$vi, number, 0))
    off <- max(0, abs(new[[part]] - old)[!gone] / pmax(abs(old[!gone]), 1e-300))
    if (any(is.na(new[[part]][!gone]))) off <- Inf
    worst <- max(worst, off)
    if (off > 1e-12) cat(sprintf("%-60s %s differs by %.1e\n", case$id, part, off))
  }
}

if (length(args) > 1 && args[2] == "write") {
  golden$source$R <- R.version.string
  golden$source$metafor <- as.character(packageVersion("metafor"))
  line <- function(x) toJSON(x, digits = I(17), auto_unbox = TRUE, na = "null", null = "null")
  named <- function(x) paste0(vapply(names(x), function(n) paste0(toJSON(n, auto_unbox = TRUE), ": ", line(x[[n]])), ""),
                              collapse = ",\n")
  cases <- paste0(vapply(golden$cases, line, ""), collapse = ",\n")
  writeLines(c("{", paste0('"source": ', line(golden$source), ","), '"data": {', named(golden$data), "},",
               '"cases": [', cases, "]", "}"), args[1])
} else {
  cat(sprintf("largest relative difference: %.1e\n", worst))
}
