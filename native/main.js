require('./run.js')('main', 'cache');
