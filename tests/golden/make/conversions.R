# Evaluates the R calls that stand in the file of reference conversions and compares, or stores, what they give.
#
#   Rscript conversions.R ../conversions.json         largest relative difference from the stored numbers
#   Rscript conversions.R ../conversions.json write   evaluates the calls that need no metafor and stores what they give
#
# conversions.json was filled with metafor 5.0-1. metafor 3.8-1 lacks conv.fivenum, conv.wald, conv.2x2, the measure SMCRP,
# RPB from d and some transf functions, which are listed as not available, and computes the variances of PCOR and SMCRH
# otherwise; its other calls give the same numbers.

suppressMessages({library(metafor); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
golden <- fromJSON(args[1], simplifyVector = FALSE)
number <- function(x) if (is.null(x)) NA_real_ else as.numeric(x)
vector_of <- function(column) vapply(column, number, 0)
for (name in names(golden$data)) assign(name, as.data.frame(lapply(golden$data[[name]], vector_of)))

# McGrath et al. (2020), method BC, with an integral in place of the random numbers of estmeansd: the power from 0 to 3
# that makes the quantiles symmetric, mean by Luo (2018) and SD by Wan (2014) on that scale, and back.
box_cox_one <- function(a, q1, m, q3, b, n) {
  x <- c(a, q1, m, q3, b)
  x <- x[!is.na(x)]
  k <- length(x)
  middle <- (k + 1) / 2
  transform <- function(power) if (power < 1e-8) log(x) else (x^power - 1) / power
  loss <- function(power) {
    y <- if (abs(power) < 1e-8) log(x) else (x^power - 1) / power
    sum(vapply(seq_len(middle - 1), function(i) ((y[k + 1 - i] - y[middle]) / (y[middle] - y[i]) - 1)^2, 0))
  }
  power <- max(0, optimize(loss, c(-2, 3), tol = 1e-13)$minimum)
  if (3 - power < 1e-6) power <- 3
  y <- transform(power)
  xi <- 2 * qnorm((n - 0.375) / (n + 0.25))
  eta <- 2 * qnorm((0.75 * n - 0.125) / (n + 0.25))
  if (k == 5) {
    w1 <- 2.2 / (2.2 + n^0.75)
    w2 <- 0.7 - 0.72 / n^0.55
    mu <- w1 * (y[1] + y[5]) / 2 + w2 * (y[2] + y[4]) / 2 + (1 - w1 - w2) * y[3]
    sigma <- ((y[5] - y[1]) / xi + (y[4] - y[2]) / eta) / 2
  } else {
    w <- if (is.na(q1)) 4 / (4 + n^0.75) else 0.7 + 0.39 / n
    mu <- w * (y[1] + y[3]) / 2 + (1 - w) * y[2]
    sigma <- (y[3] - y[1]) / (if (is.na(q1)) xi else eta)
  }
  if (power < 1e-8) return(c(exp(mu + sigma^2 / 2), exp(mu + sigma^2 / 2) * sqrt(exp(sigma^2) - 1)))
  reach <- mu + 1 / power
  moment <- function(f) {
    inside <- function(y) f(pmax(1 + power * y, 0)^(1 / power)) * dnorm(y, mu, sigma)
    low <- max(mu - reach, mu - 12 * sigma)
    high <- min(mu + reach, mu + 12 * sigma)
    integrate(inside, low, mu, rel.tol = 1e-11, subdivisions = 2000)$value +
      integrate(inside, mu, high, rel.tol = 1e-11, subdivisions = 2000)$value
  }
  whole <- moment(function(v) 1 + 0 * v)
  mean <- moment(identity) / whole
  c(mean, sqrt(moment(function(v) (v - mean)^2) / whole))
}
box_cox <- function(min, q1, median, q3, max, n, data) {
  made <- mapply(box_cox_one, data$min, data$q1, data$median, data$q3, data$max, data$n)
  list(mean = made[1, ], sd = made[2, ])
}

worst <- 0
for (i in seq_along(golden$cases)) {
  case <- golden$cases[[i]]
  made <- try(suppressWarnings(eval(parse(text = case$call))), silent = TRUE)
  if (inherits(made, "try-error")) {
    cat(sprintf("%-40s not available\n", case$id))
    next
  }
  for (part in names(case$result)) {
    # A table of metafor's calls its cells ai, bi, ci, di.
    name <- c(events1 = "ai", events2 = "ci")[part]
    new <- as.numeric(made[[if (is.na(name)) part else name]])
    if (length(args) > 1 && args[2] == "write") {
      if (!grepl("metafor", case$from)) golden$cases[[i]]$result[[part]] <- new
      next
    }
    old <- vector_of(case$result[[part]])
    off <- max(0, abs(new - old) / pmax(abs(old), 1e-300), na.rm = TRUE)
    worst <- max(worst, off)
    if (off > 1e-12) cat(sprintf("%-40s %s differs by %.1e\n", case$id, part, off))
  }
}

if (length(args) > 1 && args[2] == "write") {
  line <- function(x) toJSON(x, digits = I(17), auto_unbox = TRUE, na = "null", null = "null")
  named <- function(x) paste0(vapply(names(x), function(n) paste0(toJSON(n, auto_unbox = TRUE), ": ", line(x[[n]])), ""),
                              collapse = ",\n")
  for (i in seq_along(golden$cases)) {
    if (!length(golden$cases[[i]]$arguments)) golden$cases[[i]]$arguments <- setNames(list(), character(0))
  }
  cases <- paste0(vapply(golden$cases, line, ""), collapse = ",\n")
  writeLines(c("{", paste0('"source": ', line(golden$source), ","), '"data": {', named(golden$data), "},",
               '"cases": [', cases, "]", "}"), args[1])
} else {
  cat(sprintf("largest relative difference: %.1e\n", worst))
}
