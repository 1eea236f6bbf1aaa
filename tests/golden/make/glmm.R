# Maximises the likelihoods of generalised linear mixed models and of the beta-binomial model in R, without metafor or
# lme4: random effects are integrated out on a fine grid (the trapezium rule), the optimum is nlminb's, and standard
# errors come from Richardson's extrapolation. Independent of the quadrature and the derivatives that are tested.
#
#   Rscript glmm.R ../glmm.json        largest difference from the stored numbers, in standard errors
#   Rscript glmm.R ../glmm.json write  computes and stores them
#
# The table "metafor" of glmm.json was filled with metafor 5.0-1 and lme4 1.1-31 (rma.glmm with its defaults: 7
# quadrature points, or Laplace's approximation for UM.RS; lme4's convergence tolerances, good to about 1e-3).

suppressMessages({library(jsonlite); library(numDeriv)})
args <- commandArgs(trailingOnly = TRUE)
golden <- fromJSON(args[1], simplifyVector = FALSE)
columns <- function(name) lapply(golden$data[[name]], function(x) as.numeric(unlist(x)))

lbin <- function(x, n, eta) lchoose(n, x) + x * plogis(eta, log.p = TRUE) + (n - x) * plogis(-eta, log.p = TRUE)
lpois <- function(x, t, eta) dpois(x, t * exp(eta), log = TRUE)
lhyper <- function(x1, n1, x2, n2, eta) {
  s <- max(0, x1 + x2 - n2):min(n1, x1 + x2)
  w <- lchoose(n1, s) + lchoose(n2, x1 + x2 - s)
  vapply(eta, function(e) { l <- w + e * s; m <- max(l); l[s == x1] - m - log(sum(exp(l - m))) }, 0)
}
lbb <- function(x, n, p, g) {
  up <- function(a, m) sum(log(a + (seq_len(m) - 1) * g))
  lchoose(n, x) + up(p, x) + up(1 - p, n - x) - up(1, n)
}
lse <- function(l) max(l) + log(sum(exp(l - max(l))))
z1 <- seq(-8.5, 8.5, length.out = 681); w1 <- dnorm(z1, log = TRUE) + log(z1[2] - z1[1])
grid <- seq(-8, 8, length.out = 241)
z2 <- expand.grid(u = grid, a = grid); w2 <- dnorm(z2$u, log = TRUE) + dnorm(z2$a, log = TRUE) + 2 * log(grid[2] - grid[1])

arms <- function(measure) if (measure %in% c("OR", "PLO")) lbin else lpois

# Each returns the log-likelihood as a function of the parameters: mu, tau, and then the others of the model.
surface <- function(measure, model, d) {
  f <- arms(measure)
  if (model == "") return(function(p) sum(mapply(function(x, n) lse(w1 + f(x, n, p[1] + p[2] * z1)), d[[1]], d[[2]])))
  if (model == "CM.EL" && measure == "OR")
    return(function(p) sum(mapply(function(a, n, c, m) lse(w1 + lhyper(a, n, c, m, p[1] + p[2] * z1)), d[[1]], d[[2]], d[[3]], d[[4]])))
  if (model %in% c("CM.AL", "CM.EL"))
    return(function(p) sum(mapply(function(a, n, c, m) lse(w1 + lbin(a, a + c, log(n / m) + p[1] + p[2] * z1)), d[[1]], d[[2]], d[[3]], d[[4]])))
  if (model == "UM.FS")
    return(function(p) sum(mapply(function(a, n, c, m, l) {
      th <- (p[1] + p[2] * z1) / 2
      lse(w1 + f(a, n, l + th) + f(c, m, l - th)) }, d[[1]], d[[2]], d[[3]], d[[4]], p[-(1:2)])))
  function(p) sum(mapply(function(a, n, c, m) {
    th <- (p[1] + p[2] * z2$u) / 2; l <- p[3] + p[4] * z2$a
    lse(w2 + f(a, n, l + th) + f(c, m, l - th)) }, d[[1]], d[[2]], d[[3]], d[[4]]))
}

fit <- function(measure, model, d) {
  ll <- surface(measure, model, d)
  k <- length(d[[1]])
  level <- if (length(d) == 4) log((d[[1]] + d[[3]] + 0.5) / (d[[2]] + d[[4]])) else NULL
  start <- c(0, 0.5, if (model == "UM.FS") level else if (model == "UM.RS") c(mean(level), 0.7))
  if (length(d) == 2) start[1] <- log(sum(d[[1]]) / sum(d[[2]]))
  low <- rep(-Inf, length(start)); low[2] <- 0; if (model == "UM.RS") low[4] <- 0
  control <- list(rel.tol = 1e-15, x.tol = 1e-12, eval.max = 5000, iter.max = 5000)
  climb <- function(p) nlminb(p, function(p) -ll(p), lower = low, control = control)
  o <- lapply(c(0.5, 1.5), function(tau) { start[2] <- tau; climb(start) })
  o <- climb(o[[which.min(vapply(o, function(x) x$objective, 0))]]$par)
  inner <- o$par > 1e-4 | is.infinite(low)
  H <- hessian(function(q) { p <- o$par; p[inner] <- q; p[!inner] <- 0; -ll(p) }, o$par[inner])
  sd <- sqrt(diag(solve(H)))
  list(mu = o$par[1], se = sd[1], tau2 = o$par[2]^2, sigma2 = if (model == "UM.RS") o$par[4]^2 else NA, log_likelihood = -o$objective)
}

fit_bb <- function(measure, d) {
  ll <- function(p) sum(mapply(lbb, d[[1]], d[[2]], plogis(p[1]), p[3])) + sum(mapply(lbb, d[[3]], d[[4]], plogis(p[2]), p[3]))
  start <- c(qlogis(sum(d[[1]]) / sum(d[[2]])), qlogis(sum(d[[3]]) / sum(d[[4]])), 0.02)
  o <- nlminb(start, function(p) -ll(p), lower = c(-Inf, -Inf, 0), control = list(rel.tol = 1e-15, x.tol = 1e-12, eval.max = 5000, iter.max = 5000))
  inner <- c(TRUE, TRUE, o$par[3] > 1e-8)
  H <- hessian(function(q) { p <- o$par; p[inner] <- q; -ll(p) }, o$par[inner])
  V <- solve(H)[1:2, 1:2]
  p <- plogis(o$par[1:2])
  g <- switch(measure, OR = c(1, -1), RR = c(1 - p[1], -(1 - p[2])), RD = p * (1 - p) * c(1, -1))
  est <- switch(measure, OR = o$par[1] - o$par[2], RR = log(p[1] / p[2]), RD = p[1] - p[2])
  list(estimate = est, se = sqrt(sum(g * (V %*% g))), rho = o$par[3] / (1 + o$par[3]), log_likelihood = -o$objective)
}

number <- function(x) if (is.null(x)) NA_real_ else as.numeric(x)
worst <- 0
for (table in c("grid", "beta_binomial")) {
  names_ <- unlist(golden[[table]]$columns)
  for (i in seq_along(golden[[table]]$rows)) {
    row <- golden[[table]]$rows[[i]]; names(row) <- names_[seq_along(row)]
    d <- columns(row$data)
    message(paste(unlist(row[1:3]), collapse = " "))
    new <- if (table == "grid") fit(row$measure, row$model, d) else fit_bb(row$measure, d)
    if (length(args) > 1 && args[2] == "write") {
      for (n in names(new)) row[[n]] <- if (is.na(new[[n]])) NULL else new[[n]]
      golden[[table]]$rows[[i]] <- unname(lapply(names_, function(n) row[[n]]))
    } else for (n in names(new)) if (!is.na(new[[n]])) worst <- max(worst, abs(new[[n]] - number(row[[n]])) / new$se)
  }
}
if (length(args) > 1 && args[2] == "write") {
  golden$source$R <- R.version.string
  line <- function(x) toJSON(x, auto_unbox = TRUE, digits = NA, null = "null", na = "null")
  tables <- vapply(c("metafor", "grid", "beta_binomial"), function(t) sprintf('"%s": {"columns": %s, "rows": [\n%s\n]}', t,
    line(golden[[t]]$columns), paste(vapply(golden[[t]]$rows, function(r) as.character(line(r)), ""), collapse = ",\n")), "")
  sets <- vapply(names(golden$data), function(n) sprintf('"%s": %s', n, line(golden$data[[n]])), "")
  writeLines(sprintf('{"source": %s,\n"data": {\n%s\n},\n%s}', line(golden$source), paste(sets, collapse = ",\n"), paste(tables, collapse = ",\n")), args[1])
} else cat("largest difference in standard errors:", worst, "\n")
