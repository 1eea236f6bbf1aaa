# Time a loop of metafor's fits from inside R, a set after the other.
# Usage: Rscript metafor_loop.R FILE
# FILE has two lines for each set, yi and vi. Prints the version, seconds of a fit, and the estimates.
suppressPackageStartupMessages(library(metafor))
lines <- readLines(commandArgs(trailingOnly = TRUE)[1])
numbers <- lapply(lines, function(line) scan(text = line, quiet = TRUE))
sets <- length(numbers) / 2
fit <- function(i) {
  found <- rma(numbers[[2 * i - 1]], numbers[[2 * i]], method = "REML", test = "knha")
  predict(found)
  found
}
invisible(fit(1))
start <- Sys.time()
estimates <- vapply(seq_len(sets), function(i) as.numeric(fit(i)$beta), 0)
seconds <- as.numeric(difftime(Sys.time(), start, units = "secs")) / sets
cat("version", as.character(packageVersion("metafor")), "\n")
cat("seconds", sprintf("%.9f", seconds), "\n")
cat("estimates", sprintf("%.12g", estimates), "\n")
