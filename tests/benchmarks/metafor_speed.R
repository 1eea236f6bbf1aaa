# Time metafor from inside R, so that neither starting R nor reading files counts.
# Usage: Rscript metafor_speed.R FILE ROUNDS FITS
# FILE has a line of yi and a line of vi. Prints the version, tau2, and for each task the seconds of a fit in the fastest
# of ROUNDS rounds of FITS fits, after one fit that does not count.
suppressPackageStartupMessages(library(metafor))
arguments <- commandArgs(trailingOnly = TRUE)
lines <- readLines(arguments[1])
yi <- scan(text = lines[1], quiet = TRUE)
vi <- scan(text = lines[2], quiet = TRUE)
rounds <- as.integer(arguments[2])
fits <- as.integer(arguments[3])

per_fit <- function(task) {
  task()
  min(replicate(rounds, {
    start <- Sys.time()
    for (i in seq_len(fits)) task()
    as.numeric(difftime(Sys.time(), start, units = "secs")) / fits
  }))
}

fit <- function() rma(yi, vi, method = "REML", test = "knha")
intervals <- function() {
  found <- fit()
  predict(found)
  confint(found)
}
cat("version", as.character(packageVersion("metafor")), "\n")
cat("tau2", sprintf("%.17g", fit()$tau2), "\n")
cat("rma", sprintf("%.9f", per_fit(fit)), "\n")
cat("rma_predict_and_confint", sprintf("%.9f", per_fit(intervals)), "\n")
