require('./run.js')('pre', 'cache');
